"""`policyd record`."""

from __future__ import annotations

from pathlib import Path

import click

from policyd.cli.groups import CommandGroup
from policyd.cli.options import format_option, settings_option


@click.group("record", cls=CommandGroup)
def record_command() -> None:
    """Verify and export the append-only record of decisions and runs."""


@record_command.command("verify")
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A checkpoint kept elsewhere that the record must extend. Repeatable.",
)
@format_option("text", "json")
@settings_option
def verify_command(checkpoints: tuple[Path, ...], output_format: str, settings: Path | None) -> int:
    """Recompute the log from its entries; compare it with every checkpoint and every piece of evidence it names."""
    from policyd.app.history import verify_own_record
    from policyd.report.json_text import render_json
    from policyd.report.record_text import render_record

    report = verify_own_record(checkpoints, settings=settings)
    if output_format == "json":
        click.echo(render_json(report.model_dump(mode="json", exclude_none=True)), nl=False)
    else:
        click.echo(render_record(report), nl=False)
    # Evidence that the log names and the store lacks can't be judged any more: undecided, not refused.
    return 0 if report.complete else 3


@record_command.command("export")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@settings_option
def export_command(folder: Path, settings: Path | None) -> int:
    """Write the log to FOLDER as C2SP tlog-tiles, which any transparency log client reads."""
    from policyd.app.history import export_own_record

    exported = export_own_record(folder, settings=settings)
    click.echo(f"wrote {exported.files} files for {exported.size} entries to {exported.folder}")
    return 0
