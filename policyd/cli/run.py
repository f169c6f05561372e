"""`policyd run`."""

from __future__ import annotations

from pathlib import Path

import click

from policyd.cli.options import (
    engine_option,
    format_option,
    password_from_environment_or_prompt,
    sandbox_option,
    settings_option,
    terminal_style,
)


@click.command("run")
@click.argument("pipeline", required=False, type=click.Path(path_type=Path))
@click.option("--plan", metavar="FILE|sha256:HEX", help="Run exactly this plan, or refuse and name what changed.")
@click.option(
    "--jobs", type=click.IntRange(1, 256), default=2, show_default=True, help="Independent stages side by side."
)
@format_option("text", "json")
@sandbox_option
@engine_option
@settings_option
def run_command(
    pipeline: Path | None,
    plan: str | None,
    jobs: int,
    output_format: str,
    sandbox: str,
    engine: str | None,
    settings: Path | None,
) -> int:
    """Run PIPELINE: check it, run each approved stage in its sandbox, sign what came out, decide on its release.

    With --plan, runs what `policyd plan --out` wrote and nothing else. Ends with the run's manifest; `policyd show`,
    `policyd logs` and `policyd verify` take it from there.
    """
    from policyd.app.early import spawn_worker

    if (pipeline is None) == (plan is None):
        raise click.UsageError("Name a PIPELINE or a --plan, one of the two.")
    with spawn_worker() as worker:
        from policyd.app.run import run_pipeline
        from policyd.cli.progress import open_progress
        from policyd.report.decision_text import render_decision
        from policyd.report.run_text import render_run_summary
        from policyd.report.text import show

        with open_progress() as progress:
            outcome = run_pipeline(
                pipeline,
                plan=plan,
                settings=settings,
                sandbox="none" if sandbox == "none" else "bwrap",
                engine=engine,
                jobs=jobs,
                password=lambda: password_from_environment_or_prompt("Passphrase of the runner's keys"),
                listener=progress,
                worker=worker,
            )
    style, width = terminal_style()
    if output_format == "json":
        from policyd.report.json_text import render_json

        click.echo(render_json(outcome.to_json()), nl=False)
    elif outcome.manifest is None:
        click.echo(render_decision(outcome.judged, outcome.catalogue, style=style, width=width), nl=False)
        click.echo("Nothing was run.")
    else:
        click.echo(render_run_summary(outcome.manifest, style=style), nl=False)
        for released in outcome.released:
            what = f"{show(released.name)} to {released.target}"
            if released.summary_sha256 and released.exit_code == 0:
                click.echo(f"released {what}, summary sha256:{released.summary_sha256}")
            else:
                click.echo(f"not released {what}: {show(released.reason)}")
    return int(outcome.exit_code)
