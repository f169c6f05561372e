"""`policyd policy bundle` and `policyd policy sign`: hand a policy set on as one signed file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from policyd.cli.options import password_from_environment_or_prompt, read_time, settings_option

if TYPE_CHECKING:
    from datetime import datetime


@click.command("bundle")
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The bundle to write: FILE.tar.gz."
)
@click.option("--name", help="What the set is called; else the name of its folder.")
@click.option("--version", type=click.IntRange(min=1), help="Its version: a whole number that only goes up.")
@click.option(
    "--expires", metavar="TIME", callback=read_time, help="Until when gates take it: 2027-01-31 or an RFC 3339 time."
)
@settings_option
def bundle_command(
    path: Path | None,
    out: Path,
    name: str | None,
    version: int | None,
    expires: datetime | None,
    settings: Path | None,
) -> int:
    """Write a policy set as an OPA bundle: rules, libraries, settings and collections in one file.

    PATH is a policy folder or another bundle; without it, the library that comes with policyd. Tests, examples and
    documents stay out.
    The same set gives the same bytes on every machine, and `opa run --server --bundle FILE` loads them. To be signed
    it needs --version and --expires.
    """
    from policyd.app.policy_bundle import bundle_policies
    from policyd.report.text import show

    made = bundle_policies(path, out=out, name=name, version=version, expires_at=expires, settings=settings)
    identity = made.identity
    version_text = f" version {identity.version}" if identity.version else ""
    expiry = f", expires {identity.expires_at.isoformat()}" if identity.expires_at else ""
    click.echo(f"bundle      {show(str(made.path))} sha256:{made.sha256}")
    rules = f"{made.rules} rule" if made.rules == 1 else f"{made.rules} rules"
    click.echo(f"policy set  {identity.name}{version_text}, {rules}{expiry}")
    click.echo(f"digest      sha256:{made.policy_set_sha256}")
    return 0


@click.command("sign")
@click.argument("bundle", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--key", metavar="FILE|URI", required=True, help="A policy author's private key: a file, or a KMS or HSM key's URI."
)
@settings_option
def sign_command(bundle: Path, key: str, settings: Path | None) -> int:
    """Sign BUNDLE as a policy author: inside it for OPA, and beside it as BUNDLE.sigstore.json.

    The key must have the role policy-author in the trust policy. Where the trust policy asks for several authors, each
    signs the same file in turn. `opa run --verification-key NAME.pub --signing-alg ES256` accepts the bundle.
    """
    from policyd.adapters import clock
    from policyd.app.policy_sign import sign_policies
    from policyd.report.text import show

    signed = sign_policies(
        bundle,
        key=key,
        password=lambda: password_from_environment_or_prompt(f"Passphrase of {show(str(key))}"),
        settings=settings,
        now=clock.now(),
    )
    predicate = signed.predicate
    click.echo(f"signed       {show(str(signed.bundle))} sha256:{signed.sha256}")
    click.echo(f"policy set   {predicate.name} version {predicate.version} sha256:{predicate.policy_set_sha256}")
    click.echo(f"expires      {predicate.expires_at.isoformat()}")
    click.echo(f"key          sha256:{signed.key_sha256}")
    click.echo(f"attestation  {show(str(signed.attestation))}")
    if signed.missing:
        click.echo(f"not enough   {signed.missing}: no gate takes it until others sign too", err=True)
    return 0
