"""Write the documentation that is made from the code; with --check, fail where it is not current."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
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


def render_rules() -> str:
    """Return docs/rules.md: every rule of the library, by family."""
    from policyd.adapters.library import library_files
    from policyd.policy.policy_set import read_policy_set

    catalogue = read_policy_set(library_files(), name="library").catalogue
    lines = [
        "# Rules",
        "",
        f"The {len(catalogue)} rules of the library, from their METADATA. Made by `make goldens`.",
        "",
    ]
    family = ""
    for rule in sorted(catalogue.values(), key=lambda rule: rule.id):
        if rule.id.partition(".")[0] != family:
            family = rule.id.partition(".")[0]
            lines += [f"## {family}", ""]
        lines += [
            f"### {rule.id}",
            "",
            f"**{rule.title}** ({rule.severity.value}, level {rule.level.value}, gate {rule.gate.value}; "
            f"for {', '.join(rule.applies_to)}; {', '.join(rule.controls)})",
            "",
            rule.description.strip(),
            "",
            f"*To do:* {rule.remediation.strip()}",
            "",
        ]
    return "\n".join(lines)


def render_schema() -> str:
    """Return docs/pipeline.schema.json."""
    from policyd.pipeline.native import json_schema

    return json.dumps(json_schema(), indent=2) + "\n"


MADE = {"docs/cli.md": render_cli, "docs/rules.md": render_rules, "docs/pipeline.schema.json": render_schema}


def main() -> int:
    """Write or compare every file that is made."""
    stale = []
    for name, render in MADE.items():
        path, text = ROOT / name, render()
        if "--check" not in sys.argv:
            path.write_text(text)
        elif not path.is_file() or path.read_text() != text:
            stale.append(name)
    if stale:
        print(f"not current: {', '.join(stale)}; run `make goldens` and read the difference", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
