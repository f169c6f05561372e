"""`policyd check`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from policyd.cli.options import engine_option, format_option, read_time, settings_option, terminal_style


@click.command("check")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@format_option("text", "json", "sarif")
@click.option(
    "--fail-on",
    type=click.Choice(["critical", "high", "medium", "low", "info"]),
    help="Also deny violations from this severity on. Only ever stricter.",
)
@click.option(
    "--baseline",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Violations listed here are known and don't deny. Only `check` reads it.",
)
@click.option(
    "--write-baseline",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write what denies now as a baseline. The answer stays the same.",
)
@click.option(
    "--effective-time",
    metavar="TIME",
    callback=read_time,
    help="Judge as of another time (RFC 3339, or a date at 00:00 UTC). The decision says so, and is never signed.",
)
@engine_option
@settings_option
def check_command(
    paths: tuple[Path, ...],
    output_format: str,
    fail_on: str | None,
    baseline: Path | None,
    write_baseline: Path | None,
    effective_time: datetime | None,
    engine: str | None,
    settings: Path | None,
) -> int:
    """Judge pipelines: native ones and GitHub Actions workflows.

    PATH is a file or a folder to search; the current folder when there is none. Says for each broken rule where it
    is broken, why that matters and what to do. Runs nothing.
    """
    from policyd.adapters import clock
    from policyd.app.check import check
    from policyd.models.decision import Severity

    checked = check(
        paths or (Path("."),),
        settings=settings,
        engine=engine,
        fail_on=Severity(fail_on) if fail_on else None,
        now=clock.now(),
        effective_time=effective_time,
        baseline=baseline,
        write_baseline=write_baseline,
    )
    rules = checked.catalogue
    if output_format == "json":
        from policyd.report.decision_json import render_check_json

        click.echo(render_check_json(checked.findings, rules), nl=False)
    elif output_format == "sarif":
        from policyd import __version__
        from policyd.report.sarif import render_sarif

        click.echo(render_sarif(checked.findings, rules, version=__version__), nl=False)
    else:
        from policyd.report.decision_text import render_check

        style, width = terminal_style()
        click.echo(render_check(checked.findings, rules, style=style, width=width), nl=False)
    return int(checked.exit_code)
