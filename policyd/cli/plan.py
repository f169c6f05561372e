"""`policyd plan`."""

from __future__ import annotations

from pathlib import Path

import click

from policyd.cli.options import engine_option, format_option, sandbox_option, settings_option, terminal_style


@click.command("plan")
@click.argument("pipeline", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the plan here: outside the project, whose files are its source.",
)
@format_option("text", "json")
@sandbox_option
@engine_option
@settings_option
def plan_command(
    pipeline: Path, out: Path | None, output_format: str, sandbox: str, engine: str | None, settings: Path | None
) -> int:
    """Print what would run: stages in order with materials, products and tools, the digests, and the decision.

    `policyd run --plan` runs exactly what --out wrote. The plan's name is the SHA-256 of that file.
    """
    from policyd.app.plan import plan_pipeline
    from policyd.report.decision_text import render_check
    from policyd.report.findings import Findings
    from policyd.report.run_text import render_plan

    planned = plan_pipeline(
        pipeline, settings=settings, sandbox="none" if sandbox == "none" else "bwrap", engine=engine, out=out
    )
    if output_format == "json":
        click.echo(planned.plan.to_json().decode())
        return int(planned.exit_code)
    style, width = terminal_style()
    if not planned.decision.allowed or planned.decision.violations or planned.decision.waivers:
        findings = Findings((planned.judged,))
        click.echo(render_check(findings, planned.catalogue, style=style, width=width))
    click.echo(render_plan(planned.plan, planned.decision, style=style, width=width), nl=False)
    return int(planned.exit_code)
