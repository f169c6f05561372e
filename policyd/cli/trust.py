"""`policyd trust`."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click

from policyd.cli.groups import CommandGroup
from policyd.cli.options import (
    format_option,
    password_from_environment_or_prompt,
    read_time,
    settings_option,
    terminal_style,
)

if TYPE_CHECKING:
    from policyd.app.trust_show import ShownTrust
    from policyd.attestation.trust_chain import TrustDocument
    from policyd.models.trust import Role

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group("trust", cls=CommandGroup)
def trust_command() -> None:
    """Say whose signature counts for what: show, change, sign, check and pin the trust policy."""


@trust_command.command("show")
@click.argument("file", type=_FILE, required=False)
@format_option("text", "json")
@settings_option
def show_command(file: Path | None, output_format: str, settings: Path | None) -> int:
    """Show who may do what, until when, and what is revoked: of FILE, else of what is pinned."""
    shown = _show(file, settings)
    if output_format == "json":
        _print_json(shown)
        return 0
    _print_trust(shown)
    return 0


@trust_command.command("check")
@click.argument("file", type=_FILE, required=False)
@format_option("text", "json")
@settings_option
def check_command(file: Path | None, output_format: str, settings: Path | None) -> int:
    """Look for what can never count or is about to stop: in FILE, else in what is pinned. Exits 1 on errors.

    Thresholds that can't be reached, roles without keys, keys and versions that expire, one person in roles that check
    each other, types and ids that nothing matches.
    """
    from policyd.report.trust_text import render_remarks

    shown = _show(file, settings)
    if output_format == "json":
        _print_json(shown)
    else:
        style, _ = terminal_style()
        click.echo(render_remarks(shown.remarks, style=style), nl=False)
    return int(shown.exit_code)


@trust_command.command("pin")
@click.argument("files", metavar="FILE...", type=_FILE, nargs=-1, required=True)
@click.option("--digest", metavar="sha256:HEX", help="The digest it must have, as its maintainers gave it to you.")
@settings_option
def pin_command(files: tuple[Path, ...], digest: str | None, settings: Path | None) -> int:
    """Make the newest of FILE the trust policy that counts here, and write that to operator settings.

    Where one is pinned, the trust authors of each version have to have signed the next, and nothing goes back.
    Versions in between may be named too; else they are looked for beside FILE. Where none is pinned yet, compare the
    digest that is shown with what its maintainers say, or give it with --digest.
    """
    import sys

    from policyd.adapters import clock
    from policyd.app.trust_pin import pin_trust
    from policyd.report.text import show
    from policyd.report.trust_text import render_changes

    def confirm(document: TrustDocument) -> bool:
        from policyd.app.trust_show import show_trust

        _print_trust(show_trust(Path(document.source), settings=settings, now=clock.now()), err=True)
        return click.confirm("Is this the digest that its maintainers gave you?", default=False, err=True)

    pinned = pin_trust(
        files,
        digest=None if digest is None else _read_digest(digest),
        confirm=confirm if sys.stdin.isatty() else None,
        settings=settings,
        now=clock.now(),
    )
    trust = pinned.document.trust
    style, _ = terminal_style()
    if not pinned.walked:
        click.echo(f"pinned already  {show(trust.name)}, version {trust.version}")
        return 0
    if not pinned.first:
        click.echo(f"verified  {', '.join(f'version {version}' for version in pinned.walked)}")
        click.echo(render_changes(pinned.changes, style=style), nl=False)
    click.echo(f"{style('good', 'pinned')}    {show(trust.name)}, version {trust.version}")
    click.echo(f"digest    sha256:{pinned.document.sha256}")
    click.echo(f"file      {show(str(pinned.path))}")
    click.echo(f"settings  {show(str(pinned.settings))}")
    return 0


@trust_command.command("sign")
@click.argument("file", type=_FILE)
@click.option(
    "--key",
    metavar="FILE|URI",
    required=True,
    help="Your private key of the role trust-author: a file, or the URI of a KMS or HSM key.",
)
@click.option("--current", type=_FILE, help="Compare with this version in place of the pinned one.")
@click.option("--yes", is_flag=True, help="Sign without asking; where there is no terminal, this is needed.")
@settings_option
def sign_command(file: Path, key: str, current: Path | None, yes: bool, settings: Path | None) -> int:
    """Show what FILE changes, and sign it as one of its trust authors.

    FILE is the YAML that `trust rotate` or `key rotate` proposed, or what somebody signed before: signatures are added
    to one file, NAME.vVERSION.json. A version counts with enough signatures by trust authors of the one before and of
    its own.
    """
    import sys

    from policyd.adapters import clock
    from policyd.app.trust_sign import add_signature, propose_signature
    from policyd.errors import UsageError
    from policyd.report.text import show
    from policyd.report.trust_text import render_changes

    proposal = propose_signature(
        file,
        key=key,
        password=cache(lambda: password_from_environment_or_prompt(f"Passphrase of {show(key)}")),
        current=current,
        settings=settings,
        now=clock.now(),
    )
    style, _ = terminal_style()
    trust = proposal.document.trust
    click.echo(f"{style('strong', show(trust.name))}, version {trust.version}, sha256:{proposal.document.sha256}")
    click.echo(f"changes since version {proposal.current.trust.version}:")
    click.echo(render_changes(proposal.changes, style=style), nl=False)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(
                "nobody is there to say yes", where=str(file), fix="look at what it changes, and add --yes"
            )
        if not click.confirm(f"Sign it as {show(proposal.person)}?", default=False, err=True):
            click.echo("not signed", err=True)
            return 1
    signed = add_signature(proposal, now=clock.now())
    click.echo(f"{style('good', 'signed')}  by {show(signed.person)}, in {show(str(signed.path))}")
    if signed.missing is not None:
        click.echo(f"note    it can't be pinned yet: {show(signed.missing)}", err=True)
    else:
        click.echo(f"next    policyd trust pin {show(str(signed.path))}")
    return 0


def _role(_context: click.Context, _option: click.Parameter, value: tuple[tuple[str, ...], ...]) -> object:
    """Return the values of an option whose first part is a role."""
    from policyd.models.trust import Role

    roles = {known.value: known for known in Role}
    for name, *_ in value:
        if name not in roles:
            raise click.BadParameter(f"there is no role {name!r}: {', '.join(roles)}")
    return tuple((roles[name], *rest) for name, *rest in value)


@trust_command.command("rotate")
@click.option(
    "--add", "added", nargs=3, multiple=True, metavar="ROLE PERSON KEY", callback=_role, help="List a key for a role."
)
@click.option(
    "--replace", "replaced", nargs=2, multiple=True, metavar="OLD NEW", help="End a listed key now; list another."
)
@click.option("--revoke", "revoked", multiple=True, metavar="KEY", help="It was lost: it counts no longer from now on.")
@click.option("--remove", "removed", multiple=True, metavar="KEY", help="Take a key out, with all that it signed.")
@click.option("--remove-person", "persons", multiple=True, metavar="PERSON", help="Take out all keys of a person.")
@click.option(
    "--threshold",
    "thresholds",
    type=(str, click.IntRange(min=1)),
    multiple=True,
    metavar="ROLE N",
    callback=_role,
    help="How many distinct persons have to sign.",
)
@click.option("--expires", metavar="TIME", callback=read_time, help="Until when the next version counts.")
@settings_option
def rotate_command(
    added: tuple[tuple[Role, str, str], ...],
    replaced: tuple[tuple[str, str], ...],
    revoked: tuple[str, ...],
    removed: tuple[str, ...],
    persons: tuple[str, ...],
    thresholds: tuple[tuple[Role, int], ...],
    expires: datetime | None,
    settings: Path | None,
) -> int:
    """Make the next version of the pinned trust policy: change keys, persons, thresholds or its end.

    Nothing is signed or pinned: it prints what is left to do. KEY is a public or private key file or a URI; one that is
    listed already can be named by its fingerprint, sha256:HEX.
    """
    from policyd.adapters import clock
    from policyd.app.trust_rotate import Wanted, rotate_trust
    from policyd.report.text import show
    from policyd.report.trust_text import render_changes, render_remarks

    rotated = rotate_trust(
        Wanted(
            add=added,
            replace=replaced,
            revoke=revoked,
            remove=removed,
            remove_persons=persons,
            thresholds=thresholds,
            expires_at=expires,
        ),
        password=cache(lambda name: password_from_environment_or_prompt(f"Passphrase of {show(name)}")),
        settings=settings,
        now=clock.now(),
    )
    style, _ = terminal_style()
    click.echo(f"proposal  {show(str(rotated.proposal.path))}, version {rotated.proposal.trust.version}")
    click.echo(f"digest    sha256:{rotated.proposal.sha256}")
    click.echo(render_changes(rotated.changes, style=style), nl=False)
    if rotated.remarks:
        click.echo(render_remarks(rotated.remarks, style=style), nl=False, err=True)
    click.echo("Nothing has changed yet. To do:")
    for number, step in enumerate(rotated.steps, 1):
        click.echo(f"  {number}. {show(step)}")
    return 0


def _read_digest(text: str) -> str:
    import re

    digest = text.removeprefix("sha256:")
    if not re.fullmatch(r"[0-9a-f]{64}", digest, re.ASCII):
        raise click.BadParameter(f"{text[:80]!r} is no digest: write sha256: and 64 hex digits", param_hint="--digest")
    return digest


def _show(file: Path | None, settings: Path | None) -> ShownTrust:
    from policyd.adapters import clock
    from policyd.app.trust_show import show_trust

    return show_trust(file, settings=settings, now=clock.now())


def _print_json(shown: ShownTrust) -> None:
    from policyd.report.json_text import render_json

    click.echo(render_json(shown.to_json()), nl=False)


def _print_trust(shown: ShownTrust, *, err: bool = False) -> None:
    from policyd.report.trust_text import render_remarks, render_trust_policy

    style, _ = terminal_style()
    document = shown.document
    text = render_trust_policy(
        document.trust,
        shown.signers,
        sha256=document.sha256,
        source=document.source,
        signatures=len(document.envelope.signatures),
        pinned=shown.pinned,
        style=style,
    )
    if shown.remarks:
        text += "\n" + render_remarks(shown.remarks, style=style)
    click.echo(text, nl=False, err=err)
