"""`policyd keygen`."""

from __future__ import annotations

from pathlib import Path

import click

from policyd.cli.options import password_from_environment_or_prompt


@click.command("keygen")
@click.option(
    "--out",
    "name",
    type=click.Path(path_type=Path),
    required=True,
    metavar="NAME",
    help="Write NAME.key (mode 0600) and NAME.pub.",
)
@click.option(
    "--type",
    "algorithm",
    type=click.Choice(["ecdsa-p256", "ed25519"]),
    default="ecdsa-p256",
    show_default=True,
    help="Kind of key.",
)
def keygen_command(name: Path, algorithm: str) -> int:
    """Make a key pair to sign with. It never overwrites a file.

    A passphrase is asked for on a terminal; elsewhere it comes from POLICYD_KEY_PASSWORD. An empty one leaves the key
    readable to whoever reads the file.
    """
    from policyd.app.keys import make_key_pair
    from policyd.report.text import show

    made = make_key_pair(
        name,
        algorithm="ed25519" if algorithm == "ed25519" else "ecdsa-p256",
        password=lambda: password_from_environment_or_prompt(
            "Passphrase for the new key (empty for none)", confirm=True
        ),
    )
    click.echo(f"private key  {show(str(made.private_key))}")
    click.echo(f"public key   {show(str(made.public_key))}")
    click.echo(f"fingerprint  sha256:{made.key_sha256}")
    return 0
