"""Write what is made from the code and the rules, documents above all; with --check, fail where it is not current."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 100  # of a terminal, so that the help doesn't depend on whose it is


def commands(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[click.Context]:
    """Yield a context for `command` and everything below it, as a call of the command makes it."""
    context = command.context_class(
        command, info_name=name, parent=parent, terminal_width=WIDTH, **command.context_settings
    )
    yield context
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            yield from commands(found, below, context)


def render_cli() -> str:
    """Return docs/cli.md: the help of every command."""
    from policyd.cli.main import main

    lines = ["# Commands", "", "What `--help` prints for each command. Made by `make goldens`."]
    for context in commands(main, "policyd"):
        said = (line.rstrip() for line in context.get_help().splitlines())
        lines += ["", f"## {context.command_path}", "", "```text", *said, "```"]
    return "\n".join(lines) + "\n"


def render_schema() -> str:
    """Return docs/pipeline.schema.json."""
    from policyd.pipeline.native.document import json_schema

    return json.dumps(json_schema(), indent=2) + "\n"


def render_checked() -> str:
    """Return policies/checked.json: what the check of each module of the library shows, by the digest of its text."""
    from policyd.adapters.engines.checked_modules import digest_builtins
    from policyd.adapters.engines.embedded import require_held
    from policyd.adapters.engines.rule_process import MEMORY_BYTES, RuleProcess, regorus_version
    from policyd.adapters.library import library_builtins, library_files
    from policyd.models.canonical import sha256_hex
    from policyd.policy.policy_set import read_policy_set
    from policyd.policy.subset import find_split_rules, require_subset

    policy_set = read_policy_set(library_files(), name="policyd-library")
    process = RuleProcess(MEMORY_BYTES, 60.0)
    modules = {}
    try:
        # Each alone, as if it were loaded with nothing else: the list holds for modules with a package of their own.
        for path, text in policy_set.modules.items():
            trees = process.load(path, {path: text}, {}, time.monotonic() + 60)
            require_held(trees, [path])
            use = require_subset(trees, policy_set.packages, library_builtins())[path]
            modules[sha256_hex(text.encode())] = {
                "use": sorted(name for name, does in asdict(use).items() if does),
                "split": sorted(find_split_rules(trees)),
            }
    finally:
        process.stop()
    document = {"engine": regorus_version(), "builtins_sha256": digest_builtins(), "modules": modules}
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


RULES = ROOT / "docs" / "rules"


def make_all() -> dict[Path, str]:
    """Return every file that is made, with its text."""
    from policyd.adapters.engines.checked_modules import CHECKED
    from policyd.app.policy_docs import make_pages

    made = {ROOT / "docs" / "cli.md": render_cli(), ROOT / "docs" / "pipeline.schema.json": render_schema()}
    made[ROOT / "policies" / CHECKED] = render_checked()
    return made | {RULES / name: text for name, text in make_pages().items()}


def main() -> int:
    """Write or compare every file that is made; a page of a rule that is gone is not current."""
    made = make_all()
    gone = [path for path in RULES.glob("*") if path not in made]
    if "--check" not in sys.argv:
        RULES.mkdir(exist_ok=True)
        for path, text in made.items():
            path.write_text(text)
        for path in gone:
            path.unlink()
        return 0
    stale = gone + [path for path, text in made.items() if not path.is_file() or path.read_text() != text]
    if stale:
        names = ", ".join(str(path.relative_to(ROOT)) for path in sorted(stale))
        print(f"not current: {names}; run `make goldens` and read the difference", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
