"""`policyd sign`."""

from __future__ import annotations

from pathlib import Path

import click

from policyd.cli.options import password_from_environment_or_prompt, settings_option


@click.command("sign")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--key", type=click.Path(path_type=Path, dir_okay=False), required=True, help="Private key (NAME.key).")
@click.option("--bundle", type=click.Path(path_type=Path), required=True, help="Where the Sigstore bundle is written.")
@settings_option
def sign_command(file: Path, key: Path, bundle: Path, settings: Path | None) -> int:
    """Sign FILE with a key of your own and write a Sigstore bundle.

    Keys that hold a role in the trust policy are refused: what they sign is decided by a run. `cosign verify-blob
    --key NAME.pub --bundle BUNDLE FILE` verifies the bundle.
    """
    from policyd.app.keys import find_role_keys
    from policyd.app.signing import sign_file
    from policyd.report.text import show

    signed = sign_file(
        file,
        key=key,
        bundle=bundle,
        password=lambda: password_from_environment_or_prompt(f"Passphrase of {show(str(key))}"),
        taken=find_role_keys(settings),
    )
    click.echo(f"signed  {show(str(signed.file))} sha256:{signed.sha256}")
    click.echo(f"key     sha256:{signed.key_sha256}")
    click.echo(f"bundle  {show(str(signed.bundle))}")
    return 0
