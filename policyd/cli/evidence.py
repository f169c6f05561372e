"""`policyd evidence`."""

from __future__ import annotations

from pathlib import Path

import click

from policyd.cli.groups import CommandGroup
from policyd.cli.options import format_option, settings_option


@click.group("evidence", cls=CommandGroup)
def evidence_command() -> None:
    """Keep evidence from elsewhere in the store: attestations and signatures, found by the digest of their artifact.

    Nothing is trusted for being there: `policyd verify` says what holds.
    """


@evidence_command.command("add")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--artifact", metavar="ARTIFACT", help="Refuse evidence that does not speak of this file or digest.")
@click.option(
    "--log-entry",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The log entry of the one signature that came without: the answer of Rekor's API.",
)
@format_option("text", "json")
@settings_option
def add_command(
    files: tuple[Path, ...], artifact: str | None, log_entry: Path | None, output_format: str, settings: Path | None
) -> int:
    """Add every attestation and signature in the FILEs to the store.

    Sigstore bundles, DSSE envelopes, lines of these (GitHub's downloads), npm's and GitHub's API answers, PEP 740
    attestations and provenance, and cosign's older bundles, told apart by their content.
    """
    from policyd.adapters import clock
    from policyd.app.evidence_store import add_evidence

    added = add_evidence(files, artifact=artifact, log_entry=log_entry, settings=settings, now=clock.now)
    if output_format == "json":
        from policyd.report.json_text import render_json

        values = [one.note.model_dump(mode="json") | {"new": one.is_new} for one in added]
        click.echo(render_json({"schema": "policyd.evidence-added/v1", "evidence": values}), nl=False)
    else:
        from policyd.report.evidence_text import render_evidence_list

        click.echo(render_evidence_list([one.note for one in added]), nl=False)
    return 0


@evidence_command.command("list")
@click.argument("artifact", required=False)
@format_option("text", "json")
@settings_option
def list_command(artifact: str | None, output_format: str, settings: Path | None) -> int:
    """List what was added: everything, or what claims to speak of ARTIFACT (a file, a folder or sha256:HEX)."""
    from policyd.app.evidence_store import list_evidence

    notes = list_evidence(artifact, settings=settings)
    if output_format == "json":
        from policyd.report.json_text import render_json

        values = [note.model_dump(mode="json") for note in notes]
        click.echo(render_json({"schema": "policyd.evidence-list/v1", "evidence": values}), nl=False)
    else:
        from policyd.report.evidence_text import render_evidence_list

        click.echo(render_evidence_list(notes), nl=False)
    return 0


@evidence_command.command("show")
@click.argument("digest")
@format_option("text", "json")
@settings_option
def show_command(digest: str, output_format: str, settings: Path | None) -> int:
    """Show the piece of evidence whose digest begins with DIGEST, and its statement."""
    from policyd.app.evidence_store import describe_bundle, show_evidence

    shown = show_evidence(digest, settings=settings)
    if output_format == "json":
        from policyd.report.json_text import render_json

        value = {
            "schema": "policyd.evidence/v1",
            "evidence": shown.note.model_dump(mode="json"),
            "statement": shown.statement,
            "bundle": describe_bundle(shown.bundle),
        }
        click.echo(render_json(value), nl=False)
    else:
        from policyd.report.evidence_text import render_evidence_shown

        click.echo(render_evidence_shown(shown.note, shown.statement), nl=False)
    return 0


@evidence_command.command("export")
@click.argument("artifact")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file instead of stdout.")
@click.option("--target", metavar="NAME", help="Whose release summary goes along, where there are several.")
@settings_option
def export_command(artifact: str, out: Path | None, target: str | None, settings: Path | None) -> int:
    """Write what the store has of ARTIFACT, a line each, to hand on or to verify with --bundle.

    That is what was added, and of an artifact that a run in the store made its manifest, all that lists, and the
    summaries of its releases: whoever trusts the verifier that signed these needs no store.
    """
    from policyd.app.evidence_store import export_evidence

    content = export_evidence(artifact, settings=settings, out=out, target=target)
    if out is None:
        click.echo(content.decode(), nl=False)
    return 0
