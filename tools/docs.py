"""Write the documentation that is made from the code; with --check, fail where it is not current."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent


def commands(group: click.Group, path: tuple[str, ...] = ("policyd",)) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command with the words that call it."""
    context = click.Context(group)
    yield path, group
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def render_cli() -> str:
    """Return docs/cli.md: the help of every command."""
    from policyd.cli.main import main

    lines = ["# Commands", "", "What `--help` prints for each command. Made by `make goldens`.", ""]
    for words, command in commands(main):
        context = click.Context(command, info_name=" ".join(words), max_content_width=100, terminal_width=100)
        help_text = command.get_help(context)
        lines += [f"## {' '.join(words)}", "", "```text", *(line.rstrip() for line in help_text.splitlines()), "```", ""]
    return "\n".join(lines)


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
