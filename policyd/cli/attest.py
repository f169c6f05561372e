"""`policyd attest`."""

from __future__ import annotations

from pathlib import Path

import click

from policyd.cli.options import password_from_environment_or_prompt, settings_option, timestamp_options


@click.command("attest")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--predicate-type",
    required=True,
    metavar="TYPE",
    help="slsaprovenance1, cyclonedx, spdx, test-result, link, vuln, or an https:// URI.",
)
@click.option(
    "--predicate",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="What is said of FILE: a JSON file with the predicate alone.",
)
@click.option("--key", metavar="FILE|URI", required=True, help="Private key: a file, or the URI of a KMS or HSM key.")
@click.option("--bundle", type=click.Path(path_type=Path), required=True, help="Where the Sigstore bundle is written.")
@timestamp_options
@settings_option
def attest_command(
    file: Path,
    predicate_type: str,
    predicate: Path,
    key: str,
    bundle: Path,
    timestamp_url: str | None,
    timestamp_chain: Path | None,
    settings: Path | None,
) -> int:
    """Say something about FILE: sign an in-toto statement with a key of your own.

    Keys that hold a role in the trust policy are refused, and so are the types of statement that only a run makes.
    """
    from policyd.app.keys import find_role_keys
    from policyd.app.signing import attest_file, find_stamping
    from policyd.report.text import show

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
