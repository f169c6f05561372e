"""`policyd show`."""

from __future__ import annotations

from pathlib import Path

import click

from policyd.cli.options import format_option, settings_option, terminal_style


@click.command("show")
@click.argument("run")
@format_option("text", "json")
@settings_option
def show_command(run: str, output_format: str, settings: Path | None) -> int:
    """Show one RUN: its stages, products, digests and events. RUN is an id or its beginning.

    Reads the record and the manifest; `policyd verify` and `policyd record verify` are what proves them.
    """
    from policyd.app.history import show_run
    from policyd.report.json_text import render_json
    from policyd.report.run_text import render_events, render_run

    view, manifest = show_run(run, settings=settings)
    if output_format == "json":
        document = view.model_dump(mode="json", exclude_none=True)
        document["manifest"] = manifest.model_dump(mode="json", exclude_none=True) if manifest else None
        click.echo(render_json(document), nl=False)
        return 0
    style, width = terminal_style()
    if manifest is not None:
        click.echo(render_run(manifest, style=style, width=width))
    else:
        click.echo(f"run {view.run.run_id}  {view.run.state}, no manifest: it releases nothing\n")
    click.echo(render_events([logged.event for logged in view.events], style=style), nl=False)
    return 0
