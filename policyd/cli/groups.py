"""Groups of commands, whose help says of each command its whole first sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

_NEVER_CUT = 1_000  # characters: longer than any first sentence


class CommandGroup(click.Group):
    """A group that lists its commands without cutting what they do; under headings where it has some."""

    def sections(self, ctx: click.Context) -> Mapping[str, Sequence[str]]:
        """Return the names of the commands below their headings."""
        return {"Commands": self.list_commands(ctx)}

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each section, with all descriptions below each other."""
        sections = {
            heading: [
                (name, command.get_short_help_str(_NEVER_CUT))
                for name in names
                if (command := self.get_command(ctx, name)) is not None and not command.hidden
            ]
            for heading, names in self.sections(ctx).items()
        }
        widest = max((len(name) for rows in sections.values() for name, _ in rows), default=0)
        for heading, rows in sections.items():
            if rows:
                with formatter.section(heading):
                    formatter.write_dl([(name.ljust(widest), said) for name, said in rows])
