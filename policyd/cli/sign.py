"""`policyd sign`."""

from __future__ import annotations

from pathlib import Path

import click

from policyd.cli.options import password_from_environment_or_prompt, settings_option, timestamp_options


@click.command("sign")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--key", metavar="FILE|URI", required=True, help="Private key: a file, or the URI of a KMS or HSM key.")
@click.option("--bundle", type=click.Path(path_type=Path), required=True, help="Where the Sigstore bundle is written.")
@timestamp_options
@settings_option
def sign_command(
    file: Path, key: str, bundle: Path, timestamp_url: str | None, timestamp_chain: Path | None, settings: Path | None
) -> int:
    """Sign FILE with a key of your own and write a Sigstore bundle.

    Keys that hold a role in the trust policy are refused: what they sign is decided by a run. `cosign verify-blob
    --key NAME.pub --bundle BUNDLE FILE` verifies the bundle, for ECDSA P-256, Ed25519 and RSA keys.
    """
    from policyd.app.keys import find_role_keys
    from policyd.app.signing import find_stamping, sign_file
    from policyd.report.text import show

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
