"""`policyd policy diff`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from policyd.cli.options import engine_option, format_option, read_time, settings_option, terminal_style


@click.command("diff")
@click.argument("old")
@click.argument("new")
@click.option(
    "--inputs",
    metavar="DIR",
    required=True,
    type=click.Path(exists=True, path_type=Path),
    help="What to judge with both: pipelines, found as `policyd check` finds them, and inputs of gates (*.json).",
)
@click.option(
    "--collection", metavar="NAME", help="Ask these rules of both sets; else the collection of operator settings."
)
@click.option(
    "--effective-time",
    metavar="TIME",
    callback=read_time,
    help="Judge as of another time (RFC 3339, or a date at 00:00 UTC).",
)
@engine_option
@format_option("text", "json", "markdown")
@settings_option
def diff_command(
    old: str,
    new: str,
    inputs: Path,
    collection: str | None,
    effective_time: datetime | None,
    engine: str | None,
    output_format: str,
    settings: Path | None,
) -> int:
    """Say what changes from the policy set OLD to NEW: rules, settings, and decisions about the same inputs.

    OLD and NEW are policy folders or bundles, or `library` for the set that comes with policyd. Both are judged alone:
    no project adds to them and no waiver lifts anything. Markdown is for a comment on a pull request.

    Exits 0 where no decision changes, 1 where one does, 3 where one can't be made, 4 where there was nothing to judge.
    """
    from policyd.adapters import clock
    from policyd.app.policy_diff import diff
    from policyd.report import policy_changes

    compared = diff(
        old,
        new,
        inputs,
        collection=collection,
        effective_time=effective_time,
        engine=engine,
        settings=settings,
        now=clock.now(),
    )
    exit_code = int(compared.exit_code)
    judgements, sets = compared.judgements, compared.sets
    if output_format == "json":
        text = policy_changes.render_changes_json(judgements, sets, exit_code=exit_code)
    elif output_format == "markdown":
        text = policy_changes.render_changes_markdown(judgements, sets, noun="input")
    else:
        style, width = terminal_style()
        text = policy_changes.render_changes_text(judgements, sets, noun="input", style=style, width=width)
    click.echo(text, nl=False)
    return exit_code
