"""`policyd sign`."""

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


@click.command("sign")
@click.argument("file", type=PathOrImage(dir_okay=False))
@signing_options
def sign_command(
    file: Path | ImageReference,
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
    """Sign FILE with a key of your own, or keyless, and write a Sigstore bundle.

    FILE may be an image by its digest, oci://REGISTRY/REPOSITORY@sha256:HEX. With --push its bundle is put beside it,
    where `cosign verify` finds it.

    Keys that hold a role in the trust policy are refused: what they sign is decided by a run. `cosign verify-blob
    --key NAME.pub --bundle BUNDLE FILE` verifies the bundle, for ECDSA P-256, Ed25519 and RSA keys.
    """
    who = find_keyless_options(key, keyless=keyless)
    if not isinstance(file, Path):
        from policyd.app.image_signing import SIGNATURE, Destination

        return sign_image_command(
            file,
            SIGNATURE,
            verb="signed",
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
        from policyd.app.keyless import sign_file_keyless

        made = sign_file_keyless(file, keyless=who, bundle=bundle, now=clock.now)
        click.echo(f"signed    {show(str(made.file))} {made.digest}")
        echo_keyless(made)
        return 0

    assert key is not None
    from policyd.app.keys import find_role_keys
    from policyd.app.signing import find_stamping, sign_file

    signed = sign_file(
        file,
        key=key,
        bundle=bundle,
        password=lambda: password_from_environment_or_prompt(f"Passphrase of {show(key)}"),
        taken=find_role_keys(settings),
        stamping=find_stamping(timestamp_url, timestamp_chain, settings),
    )
    click.echo(f"signed  {show(str(signed.file))} {signed.digest}")
    click.echo(f"key     sha256:{signed.key_sha256}")
    if signed.stamped is not None:
        click.echo(f"time    {signed.stamped.moment.isoformat()}, says {show(signed.stamped.authority)}")
    click.echo(f"bundle  {show(str(signed.bundle))}")
    return 0
