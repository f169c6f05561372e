"""`policyd logs`."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import click

from policyd.cli.options import settings_option

LINES_AT_ONCE = 1000  # a write for each line takes ten times as long


@click.command("logs")
@click.argument("run")
@click.argument("stage", required=False)
@settings_option
def logs_command(run: str, stage: str | None, settings: Path | None) -> int:
    """Show what the stages of RUN printed, or one STAGE alone. RUN is an id or its beginning.

    Every line stands behind its stage's name, and characters that steer a terminal are shown as escapes.
    """
    from policyd.app.history import read_logs
    from policyd.report.text import stage_line

    for name, lines in read_logs(run, stage, settings=settings):
        silent = True
        while some := [stage_line(name, line) for line in islice(lines, LINES_AT_ONCE)]:
            silent = False
            click.echo("\n".join(some))
        if silent:
            click.echo(f"{name} printed nothing", err=True)
    return 0
