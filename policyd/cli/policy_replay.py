"""`policyd policy replay`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from policyd.cli.options import format_option, read_time, settings_option, terminal_style


@click.command("replay")
@click.option(
    "--set",
    "policy_set",
    metavar="NEW",
    help="A policy folder or bundle, or `library`: judge with it in the place of the organisation's set. "
    "Without it, each decision is judged with the set that was recorded and has to come out the same.",
)
@click.option("--since", metavar="TIME", callback=read_time, help="Only decisions recorded from then on.")
@click.option("--run", metavar="RUN", help="Only the decisions of this run: its id or the beginning of it.")
@click.option(
    "--effective-time",
    metavar="TIME",
    callback=read_time,
    help="Judge as of another time (RFC 3339, or a date at 00:00 UTC).",
)
@click.option(
    "--engine",
    type=click.Choice(["embedded", "opa", "both"]),
    help="Ask this engine instead of the one that each decision names; then its name and version are not compared.",
)
@format_option("text", "json", "markdown")
@settings_option
def replay_command(
    policy_set: str | None,
    since: datetime | None,
    run: str | None,
    effective_time: datetime | None,
    engine: str | None,
    output_format: str,
    settings: Path | None,
) -> int:
    """Judge recorded decisions again and say what changes.

    Reads the record and writes nothing. With the policy set that was recorded, on the engine that was asked then, the
    decision has to have the very bytes that were signed. Markdown is for a comment on a pull request.

    Exits 0 where nothing changes, 1 where something does, 3 where one could not be judged, 4 where none is recorded.
    """
    from policyd.adapters import clock
    from policyd.app.policy_replay import replay
    from policyd.report import policy_changes

    replayed = replay(
        policy_set=policy_set,
        since=since,
        run=run,
        effective_time=effective_time,
        engine=engine,
        settings=settings,
        now=clock.now(),
    )
    exit_code = int(replayed.exit_code)
    if output_format == "json":
        text = policy_changes.render_changes_json(replayed.judgements, same=replayed.same, exit_code=exit_code)
    elif output_format == "markdown":
        text = policy_changes.render_changes_markdown(replayed.judgements, same=replayed.same)
    else:
        style, width = terminal_style()
        text = policy_changes.render_changes_text(replayed.judgements, same=replayed.same, style=style, width=width)
    click.echo(text, nl=False)
    return exit_code
