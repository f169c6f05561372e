"""`policyd runs`."""

from __future__ import annotations

from pathlib import Path

import click

from policyd.cli.options import format_option, settings_option, terminal_style


@click.command("runs")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many, newest first.")
@format_option("text", "json")
@settings_option
def runs_command(limit: int, output_format: str, settings: Path | None) -> int:
    """List the runs in the record, the newest first."""
    from policyd.app.history import list_runs, render_rows
    from policyd.report.json_text import render_json
    from policyd.report.run_text import render_runs

    runs = list_runs(limit, settings=settings)
    if output_format == "json":
        document = [run.model_dump(mode="json", exclude_none=True) for run in runs]
        click.echo(render_json({"schema": "policyd.runs/v1", "runs": document}), nl=False)
    else:
        style, _ = terminal_style()
        click.echo(render_runs(render_rows(runs), style=style), nl=False)
    return 0
