"""`policyd audit`."""

from __future__ import annotations

from pathlib import Path

import click

from policyd.cli.options import engine_option, format_option, settings_option, terminal_style


@click.command("audit")
@click.argument("path", default=".", type=click.Path(path_type=Path))
@click.option("--framework", "frameworks", multiple=True, help="A framework by id; all when there is none. Repeatable.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Also write one HTML page here.")
@format_option("text", "json")
@engine_option
@settings_option
def audit_command(
    path: Path,
    frameworks: tuple[str, ...],
    html: Path | None,
    output_format: str,
    engine: str | None,
    settings: Path | None,
) -> int:
    """Say which controls the pipelines under PATH and their runs meet, with the evidence for each.

    A control is met, not met, waived or not tested; it is never met because nothing was looked at. Exits 0 when every
    control that was tested is met, 1 when one is not, 4 when nothing was tested.
    """
    from policyd.adapters import clock
    from policyd.adapters.output import write_output
    from policyd.app.audit import audit, exit_code
    from policyd.report.audit_html import render_audit_html
    from policyd.report.audit_json import render_audit_json
    from policyd.report.audit_text import render_audit

    report = audit(path, settings=settings, engine=engine, names=frameworks, now=clock.now())
    if html is not None:
        write_output(html, render_audit_html(report).encode())
    if output_format == "json":
        click.echo(render_audit_json(report), nl=False)
    else:
        style, width = terminal_style()
        click.echo(render_audit(report, style=style, width=width), nl=False)
    if html is not None:
        click.echo(f"wrote {html}", err=True)
    return int(exit_code(report))
