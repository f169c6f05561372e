"""`policyd key`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from policyd.cli.groups import CommandGroup
from policyd.cli.options import format_option, password_from_environment_or_prompt, read_time, settings_option

if TYPE_CHECKING:
    from policyd.adapters.signers.keyfile import Algorithm

F = TypeVar("F", bound=Callable[..., Any])

ALGORITHMS = ("ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519", "rsa-3072", "rsa-4096")


@click.group("key", cls=CommandGroup)
def key_command() -> None:
    """Make keys, show them, and replace the key of a role."""


def new_key_options(command: F) -> F:
    """Add the options of `key new`, of which `keygen` is the short name."""
    out = click.option(
        "--out",
        "name",
        type=click.Path(path_type=Path),
        required=True,
        metavar="NAME",
        help="Write NAME.key (mode 0600) and NAME.pub.",
    )
    algorithm = click.option(
        "--algorithm",
        "--type",
        "algorithm",
        type=click.Choice(ALGORITHMS),
        default="ecdsa-p256",
        show_default=True,
        help="What it signs with.",
    )
    return out(algorithm(command))


def make_key(name: Path, algorithm: str) -> int:
    """Make a key pair and say where it is."""
    from policyd.app.keys import make_key_pair
    from policyd.report.text import show

    made = make_key_pair(name, algorithm=cast("Algorithm", algorithm), password=_new_passphrase)
    click.echo(f"private key  {show(str(made.private_key))}")
    click.echo(f"public key   {show(str(made.public_key))}")
    click.echo(f"fingerprint  sha256:{made.key_sha256}")
    return 0


@key_command.command("new")
@new_key_options
def new_command(name: Path, algorithm: str) -> int:
    """Make a key pair to sign with. It never overwrites a file.

    A passphrase is asked for on a terminal; elsewhere it comes from POLICYD_KEY_PASSWORD. An empty one leaves the key
    readable to whoever reads the file.
    """
    return make_key(name, algorithm)


@key_command.command("show")
@click.argument("key", metavar="FILE|URI")
@format_option("text", "json", "pem")
@settings_option
def show_command(key: str, output_format: str, settings: Path | None) -> int:
    """Show a public or private key: its kind, fingerprint, the name that bundles have for it, and its role.

    `--format pem` prints the public key alone.
    """
    from policyd.adapters import clock
    from policyd.app.keys import show_key
    from policyd.report.json_text import render_json
    from policyd.report.text import show

    shown = show_key(
        key,
        password=lambda: password_from_environment_or_prompt(f"Passphrase of {show(key)}"),
        settings=settings,
        now=clock.now(),
    )
    if output_format == "json":
        click.echo(render_json(shown.to_json()), nl=False)
        return 0
    if output_format == "pem":
        click.echo(shown.key.pem.strip())
        return 0
    click.echo(f"kind         {shown.key.describe()}")
    click.echo(f"fingerprint  sha256:{shown.key.sha256}")
    click.echo(f"hint         {shown.hint}")
    if shown.role is None or shown.listed is None:
        click.echo("role         none in the trust policy of this user")
    else:
        state = "in force" if shown.problem is None else show(shown.problem)
        click.echo(f"role         {shown.role} of {show(shown.listed.person)}, {state}")
    click.echo(shown.key.pem.strip())
    return 0


@key_command.command("rotate")
@click.argument("role", metavar="ROLE")
@click.option("--person", help="Whose key is replaced, where several persons have one of this role.")
@click.option("--algorithm", type=click.Choice(ALGORITHMS), help="What it signs with; the log always with ed25519.")
@click.option("--new-key", metavar="FILE|URI", help="Take this key in place of making one.")
@click.option("--until", metavar="TIME", callback=read_time, help="The old key counts until then.")
@click.option("--revoke", is_flag=True, help="The old key no longer counts from now on: it is lost, or in other hands.")
@settings_option
def rotate_command(
    role: str,
    person: str | None,
    algorithm: str | None,
    new_key: str | None,
    until: datetime | None,
    revoke: bool,
    settings: Path | None,
) -> int:
    """Replace the key of ROLE: make a new one and propose a trust policy that lists it.

    Nothing is pinned and no settings are changed: it prints what is left to do. ROLE is one of the roles in the trust
    policy, such as decider, builder, verifier or log.
    """
    from policyd.adapters import clock
    from policyd.app.key_rotate import rotate_key
    from policyd.models.trust import Role
    from policyd.report.text import show

    if role not in [known.value for known in Role]:
        raise click.UsageError(f"There is no role {role!r}: {', '.join(known.value for known in Role)}.")
    rotated = rotate_key(
        Role(role),
        person=person,
        algorithm=cast("Algorithm | None", algorithm),
        new_key=new_key,
        until=until,
        revoke=revoke,
        password=lambda: (
            _new_passphrase()
            if new_key is None
            else password_from_environment_or_prompt(f"Passphrase of {show(new_key)}")
        ),
        settings=settings,
        now=clock.now(),
    )
    click.echo(f"old key   sha256:{rotated.old_sha256}, {rotated.role} of {show(rotated.person)}")
    click.echo(f"new key   sha256:{rotated.new_sha256} in {show(rotated.new_key)}")
    click.echo(f"proposal  {show(str(rotated.proposal.path))}, version {rotated.proposal.trust.version}")
    click.echo("Nothing has changed yet. To do:")
    for number, step in enumerate(rotated.steps, 1):
        click.echo(f"  {number}. {show(step)}")
    return 0


def _new_passphrase() -> str:
    return password_from_environment_or_prompt("Passphrase for the new key (empty for none)", confirm=True)
