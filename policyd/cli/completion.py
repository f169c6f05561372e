"""`policyd completion`."""

from __future__ import annotations

import click

LINES = {
    "bash": 'eval "$(_POLICYD_COMPLETE=bash_source policyd)"',
    "zsh": 'eval "$(_POLICYD_COMPLETE=zsh_source policyd)"',
    "fish": "_POLICYD_COMPLETE=fish_source policyd | source",
}
FILES = {"bash": "~/.bashrc", "zsh": "~/.zshrc", "fish": "~/.config/fish/config.fish"}


@click.command("completion")
@click.argument("shell", type=click.Choice(list(LINES)))
def completion_command(shell: str) -> int:
    """Print the line that makes SHELL complete policyd's commands and options."""
    click.echo(f"# add this line to {FILES[shell]}")
    click.echo(LINES[shell])
    return 0
