"""`policyd keygen`: the short name of `policyd key new`."""

from __future__ import annotations

from pathlib import Path

import click

from policyd.cli.key import make_key, new_key_options


@click.command("keygen")
@new_key_options
def keygen_command(name: Path, algorithm: str) -> int:
    """Make a key pair to sign with: the short name of `policyd key new`."""
    return make_key(name, algorithm)
