"""`policyd verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from policyd.cli.images import PathOrImage, allow_http_option, refuse_registry_options
from policyd.cli.options import engine_option, format_option, settings_option, terminal_style

if TYPE_CHECKING:
    from policyd.app.verify_direct import DirectAnswer, Evidence
    from policyd.app.verify_image import ImageAnswer
    from policyd.attestation.direct import IdentityTrust, KeyTrust
    from policyd.attestation.image_reference import ImageReference


@click.command("verify")
@click.argument("artifact", type=PathOrImage())
@click.option("--target", metavar="NAME", help="Where the artifact is to go; needed where several are configured.")
@click.option(
    "--bundle",
    "bundles",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Evidence to verify instead of the store's: a summary, or a manifest with all it lists. With --key or "
    "--cert-identity: a Sigstore bundle, or evidence in the form of another tool; else the bundles beside the artifact "
    "(NAME.sigstore.json). Repeatable.",
)
@click.option(
    "--key",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Trust who has this key (public, PEM), and nothing else: no settings, no store.",
)
@click.option(
    "--trusted-root",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The Sigstore instance to trust: its trusted_root.json, pinned by you. Nothing is fetched.",
)
@click.option(
    "--cert-identity",
    "--certificate-identity",
    "identity",
    metavar="NAME",
    help="Trust who signed keyless with this identity, exactly: an address, or a workflow's URI.",
)
@click.option(
    "--cert-identity-regexp",
    "--certificate-identity-regexp",
    "pattern",
    metavar="REGEXP",
    help="As --cert-identity, for identities that match as a whole. One that takes anybody in is refused.",
)
@click.option(
    "--cert-oidc-issuer",
    "--certificate-oidc-issuer",
    "issuer",
    metavar="URL",
    help="The identity provider that vouched for the identity, exactly.",
)
@click.option(
    "--type",
    "predicate_type",
    metavar="TYPE",
    help="The attestation asked for: slsaprovenance1, cyclonedx, spdx, vsa, \u2026, a predicate type's URI, or `any`. "
    "Without it, the signature of a file.",
)
@click.option(
    "--min-bundle-version",
    type=click.Choice(["0.1", "0.2", "0.3"]),
    default="0.1",
    show_default=True,
    help="The oldest Sigstore bundle that counts. v0.1 may come without an inclusion proof.",
)
@click.option(
    "--signature",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A signature in a file of its own, instead of a bundle: base64, or the bytes.",
)
@click.option(
    "--certificate",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The signer's certificate (PEM) that came with --signature.",
)
@click.option(
    "--log-entry",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The log entry of a signature that came without one: the answer of Rekor's API (/api/v1/log/entries/UUID).",
)
@allow_http_option
@format_option("text", "json")
@engine_option
@settings_option
def verify_command(
    artifact: Path | ImageReference,
    target: str | None,
    bundles: tuple[Path, ...],
    key: Path | None,
    trusted_root: Path | None,
    identity: str | None,
    pattern: str | None,
    issuer: str | None,
    predicate_type: str | None,
    min_bundle_version: str,
    signature: Path | None,
    certificate: Path | None,
    log_entry: Path | None,
    allow_http: bool,
    output_format: str,
    engine: str | None,
    settings: Path | None,
) -> int:
    """Verify that ARTIFACT may leave for its target: made by an approved run, by its digest, unbroken to the plan.

    Trust comes from operator settings; nothing beside the artifact adds to it. No network is
    used, but for the registry of an image.

    With --key, or with --trusted-root, --cert-identity and --cert-oidc-issuer, trust is what these name, and nothing
    else: settings and store are not read. ARTIFACT is then a file, a folder (each file of it needs a bundle) or a
    digest (sha256:HEX), and the exit code is 0 verified, 1 refused, 2 a request or bundle that can't be used.

    ARTIFACT may be an image, oci://REGISTRY/REPOSITORY@sha256:HEX. Its registry is asked for it and for the bundles
    that refer to it, unless --bundle names them; one that holds is enough. Exit code 3: the registry leaves it open.
    """
    if isinstance(artifact, Path):
        refuse_registry_options(artifact, allow_http=allow_http)
    direct = {
        "--key": key,
        "--trusted-root": trusted_root,
        "--cert-identity": identity,
        "--cert-identity-regexp": pattern,
        "--cert-oidc-issuer": issuer,
        "--type": predicate_type,
        "--signature": signature,
        "--certificate": certificate,
        "--log-entry": log_entry,
    }
    if any(value is not None for value in direct.values()):
        _refuse_mixture()
        trust = _read_trust(key, trusted_root, identity, pattern, issuer)
        evidence = _read_evidence_options(bundles, signature, certificate, log_entry)
        return _verify_directly(
            artifact, evidence, trust, predicate_type, min_bundle_version, output_format, allow_http
        )

    from policyd.adapters import clock

    if isinstance(artifact, Path):
        from policyd.app.verify import verify_artifact

        verified = verify_artifact(
            artifact, settings=settings, target=target, bundles=bundles, now=clock.now, engine=engine
        )
    else:
        from policyd.app.verify_image import verify_image_for_target

        verified = verify_image_for_target(
            artifact,
            settings=settings,
            target=target,
            bundles=bundles,
            now=clock.now,
            engine=engine,
            allow_http=allow_http,
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


def _verify_directly(
    artifact: Path | ImageReference,
    evidence: Evidence,
    trust: KeyTrust | IdentityTrust,
    predicate_type: str | None,
    min_bundle_version: str,
    output_format: str,
    allow_http: bool,
) -> int:
    from policyd.adapters import clock
    from policyd.attestation.direct import Asked
    from policyd.attestation.material import BundleVersion
    from policyd.attestation.predicate_types import read_asked_type

    asked = Asked(
        trust=trust,
        predicate_type=None
        if predicate_type is None
        else ("" if predicate_type == "any" else read_asked_type(predicate_type)),
        oldest=BundleVersion(int(min_bundle_version.removeprefix("0."))),
    )
    answer: DirectAnswer | ImageAnswer
    if isinstance(artifact, Path):
        from policyd.app.verify_direct import verify_directly

        answer = verify_directly(str(artifact), evidence=evidence, asked=asked, now=clock.now)
    else:
        from policyd.app.verify_image import verify_image, verify_image_by

        if evidence.bundles or evidence.signature is not None:
            answer = verify_image_by(artifact, evidence, asked=asked, now=clock.now)
        else:
            answer = verify_image(artifact, asked=asked, now=clock.now, allow_http=allow_http)
    if output_format == "json":
        from policyd.report.json_text import render_json

        click.echo(render_json(answer.to_json()), nl=False)
    else:
        from policyd.report.direct_text import render_direct

        style, width = terminal_style()
        text = render_direct(
            answer.artifact,
            answer.bundles,
            answer.checks,
            verified=answer.verified,
            left_out=[(one.path, one.predicate_type) for one in answer.left_out],
            style=style,
            width=width,
        )
        click.echo(text, nl=False)
        if answer.first_error is not None:
            raise answer.first_error
    return int(answer.exit_code)


def _read_trust(
    key: Path | None, trusted_root: Path | None, identity: str | None, pattern: str | None, issuer: str | None
) -> KeyTrust | IdentityTrust:
    """Return the trust that the options name; it must be one of the two kinds, and whole."""
    from policyd.errors import UsageError

    asks_identity = identity is not None or pattern is not None or issuer is not None
    if key is not None and asks_identity:
        raise UsageError(
            "trust is a key or an identity, one of the two",
            where="--key with --cert-identity or --cert-oidc-issuer",
            fix="leave one out: a bundle has one signer",
        )
    if key is not None:
        from policyd.app.verify_direct import read_key_trust

        return read_key_trust(key, trusted_root)
    if trusted_root is None or issuer is None or (identity is None and pattern is None):
        raise UsageError(
            "whom to trust is not said in full",
            where="the options of direct trust",
            fix="give --key FILE; or --trusted-root FILE, --cert-identity NAME and --cert-oidc-issuer URL",
        )
    from policyd.app.verify_direct import read_identity_trust
    from policyd.attestation.keyless.identity import AskedIdentity

    return read_identity_trust(AskedIdentity(issuer=issuer, exact=identity, pattern=pattern), trusted_root)


def _read_evidence_options(
    bundles: tuple[Path, ...], signature: Path | None, certificate: Path | None, log_entry: Path | None
) -> Evidence:
    """Return what is to be verified: bundles, or one signature in a file of its own."""
    from policyd.app.verify_direct import Evidence
    from policyd.errors import UsageError

    if signature is not None and bundles:
        raise UsageError(
            "a bundle holds its signature, so one of the two",
            where="--bundle with --signature",
            fix="verify them in two commands",
        )
    if certificate is not None and signature is None:
        raise UsageError(
            "a certificate without the signature that it is for",
            where="--certificate",
            fix="add --signature FILE; a bundle has its certificate in it",
        )
    return Evidence(bundles, signature, certificate, log_entry)


def _refuse_mixture() -> None:
    """Raise `UsageError` for options of the other kind: they would look as if they counted."""
    from click.core import ParameterSource

    from policyd.errors import UsageError

    context = click.get_current_context()
    given = [
        f"--{name}"
        for name in ("target", "engine", "settings")
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    if given:
        raise UsageError(
            f"{' and '.join(given)} and trust given directly exclude each other",
            where="the options of `policyd verify`",
            fix="leave out either: direct trust uses no settings and decides for no target",
        )
