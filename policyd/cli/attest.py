"""`policyd attest`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from policyd.cli.images import PathOrImage, require_bundle_of_file, sign_image_command
from policyd.cli.keyless_options import echo_keyless, find_keyless_options
from policyd.cli.options import password_from_environment_or_prompt
from policyd.cli.signing_options import signing_options

if TYPE_CHECKING:
    from policyd.attestation.image_reference import ImageReference


@click.command("attest")
@click.argument("file", type=PathOrImage(dir_okay=False))
@click.option(
    "--predicate-type",
    required=True,
    metavar="TYPE",
    help="slsaprovenance1, cyclonedx, spdx, test-result, link, vuln, approval, or an https:// URI.",
)
@click.option(
    "--predicate",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="What is said of FILE: a JSON file with the predicate alone.",
)
@signing_options
def attest_command(
    file: Path | ImageReference,
    predicate_type: str,
    predicate: Path,
    key: str | None,
    bundle: Path | None,
    push: bool,
    allow_http: bool,
    timestamp_url: str | None,
    timestamp_chain: Path | None,
    settings: Path | None,
    *,
    keyless: bool,
    **_: object,
) -> int:
    """Say something about FILE: sign an in-toto statement with a key of your own, or keyless.

    FILE may be an image by its digest, oci://REGISTRY/REPOSITORY@sha256:HEX. With --push its bundle is put beside it,
    where `cosign verify-attestation` finds it.

    The predicate has to fit the schema of its type; nothing is fetched. Keys that hold a role in the trust policy are
    refused, and so are the types of statement that only a run makes. An approval is signed by a key of the role
    approver, and by no other.
    """
    who = find_keyless_options(key, keyless=keyless)
    if not isinstance(file, Path):
        from policyd.app.image_signing import Destination, read_said

        return sign_image_command(
            file,
            read_said(predicate_type, predicate),
            verb="attested",
            key=key,
            keyless=who,
            to=Destination(bundle, push, allow_http),
            timestamp=(timestamp_url, timestamp_chain),
            settings=settings,
        )
    bundle = require_bundle_of_file(file, bundle, push=push, allow_http=allow_http)
    from policyd.report.text import show

    if who is not None:
        from policyd.adapters import clock
        from policyd.app.keyless import attest_file_keyless

        made = attest_file_keyless(
            file, predicate_type=predicate_type, predicate=predicate, keyless=who, bundle=bundle, now=clock.now
        )
        click.echo(f"attested  {show(str(made.file))} {made.digest}")
        echo_keyless(made)
        return 0

    assert key is not None
    from policyd.app.keys import find_role_keys
    from policyd.app.signing import attest_file, find_stamping

    signed = attest_file(
        file,
        predicate_type=predicate_type,
        predicate=predicate,
        key=key,
        bundle=bundle,
        password=lambda: password_from_environment_or_prompt(f"Passphrase of {show(key)}"),
        taken=find_role_keys(settings),
        stamping=find_stamping(timestamp_url, timestamp_chain, settings),
    )
    click.echo(f"attested  {show(str(signed.file))} {signed.digest}")
    click.echo(f"type      {show(signed.predicate_type or '')}")
    click.echo(f"key       sha256:{signed.key_sha256}")
    if signed.stamped is not None:
        click.echo(f"time      {signed.stamped.moment.isoformat()}, says {show(signed.stamped.authority)}")
    click.echo(f"bundle    {show(str(signed.bundle))}")
    return 0
