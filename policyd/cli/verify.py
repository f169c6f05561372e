"""`policyd verify`."""

from __future__ import annotations

from pathlib import Path

import click

from policyd.cli.options import engine_option, format_option, settings_option, terminal_style


@click.command("verify")
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option("--target", metavar="NAME", help="Where the artifact is to go; needed where several are configured.")
@click.option(
    "--bundle",
    "bundles",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Evidence to verify instead of the store's: a summary, or a manifest with all it lists. Repeatable.",
)
@format_option("text", "json")
@engine_option
@settings_option
def verify_command(
    artifact: Path,
    target: str | None,
    bundles: tuple[Path, ...],
    output_format: str,
    engine: str | None,
    settings: Path | None,
) -> int:
    """Verify that ARTIFACT may leave for its target: made by an approved run, by its digest, unbroken to the plan.

    Trust comes from operator settings; nothing beside the artifact adds to it. Uses no network.
    """
    from policyd.adapters import clock
    from policyd.app.verify import verify_artifact

    verified = verify_artifact(
        artifact, settings=settings, target=target, bundles=bundles, now=clock.now, engine=engine
    )
    if output_format == "json":
        from policyd.report.json_text import render_json

        click.echo(render_json(verified.to_json()), nl=False)
    else:
        from policyd.report.run_text import render_checks

        style, width = terminal_style()
        subject = f"{verified.artifact} for {verified.target}"
        click.echo(render_checks(subject, verified.checks, style=style, width=width), nl=False)
        if verified.error is not None:
            raise verified.error
    return int(verified.exit_code)
