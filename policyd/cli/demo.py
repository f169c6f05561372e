"""`policyd demo`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("demo")
@click.option("--keep", type=click.Path(path_type=Path), help="Keep everything in this new folder, to look around.")
def demo_command(keep: Path | None) -> int:
    """Watch policyd refuse a bad pipeline, run a good one, and prove what came out.

    Uses a folder of its own with its own keys and store; your settings stay as they are. Fetches the sample's build
    tools from PyPI, by hash.
    """
    from policyd.app.demo import run_demo

    return int(run_demo(keep, click.echo))
