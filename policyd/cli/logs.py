"""`policyd logs`."""

from __future__ import annotations

from pathlib import Path

import click

from policyd.cli.options import settings_option


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
        for line in lines:
            silent = False
            click.echo(stage_line(name, line))
        if silent:
            click.echo(f"{name} printed nothing", err=True)
    return 0
