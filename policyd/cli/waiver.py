"""`policyd waiver`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from policyd.cli.groups import CommandGroup
from policyd.cli.options import (
    engine_option,
    format_option,
    password_from_environment_or_prompt,
    read_time,
    settings_option,
    terminal_style,
)

if TYPE_CHECKING:
    from policyd.app.waiver_list import Listed

F = TypeVar("F", bound=Callable[..., Any])


def _key_option(role: str, *, required: bool) -> Callable[[F], F]:
    return click.option(
        "--key",
        metavar="FILE|URI",
        required=required,
        help=f"Your private key of the role {role}: a file, or the URI of a KMS or HSM key.",
    )


def _read_expiry(_context: click.Context, _option: click.Parameter, text: str) -> Callable[[datetime], datetime]:
    """Return what makes the end of a time that an option names: a moment, or days from now (`30d`)."""
    days = text.removesuffix("d")
    if text.endswith("d") and days.isascii() and days.isdigit() and 0 < int(days) < 100_000:
        return lambda now: now + timedelta(days=int(days))
    moment = read_time(_context, _option, text)
    assert moment is not None
    return lambda _now: moment


@click.group("waiver", cls=CommandGroup)
def waiver_command() -> None:
    """Ask for, grant and take back signed, dated permissions to break a rule in one place."""


@waiver_command.command("request")
@click.argument("rule")
@click.argument("place", metavar="PATH[:LINE]")
@click.option("--reason", required=True, help="Why this has to be: what whoever approves it goes by.")
@click.option(
    "--expires",
    metavar="TIME",
    required=True,
    callback=_read_expiry,
    help="Until when: a date (2027-01-31), RFC 3339, or days from now (30d).",
)
@click.option("--from", "not_before", metavar="TIME", callback=read_time, help="From when on; by default, now.")
@click.option("--target", help="Only while everything that PATH makes goes to this target.")
@_key_option("requester", required=False)
@engine_option
@settings_option
def request_command(
    rule: str,
    place: str,
    reason: str,
    expires: Callable[[datetime], datetime],
    not_before: datetime | None,
    target: str | None,
    key: str | None,
    engine: str | None,
    settings: Path | None,
) -> int:
    """Ask for a waiver of RULE where it is broken, and write it to `waivers/`.

    PATH is a pipeline file; for rules about releases, the artifact. Each violation gets a file of its own, bound to the
    offending part: an edit of that part ends the waiver. Without --key nobody vouches for who asks, and nobody can
    approve it.
    """
    from policyd.adapters import clock
    from policyd.app.waiver_request import request_waiver
    from policyd.report.text import show
    from policyd.report.waiver_text import render_waiver_facts

    made = request_waiver(
        rule,
        place,
        reason=reason,
        expires=expires,
        not_before=not_before,
        target=target,
        key=key,
        password=lambda: password_from_environment_or_prompt(f"Passphrase of {show(str(key))}"),
        settings=settings,
        engine=engine,
        now=clock.now(),
    )
    style, width = terminal_style()
    for one in made:
        click.echo(f"{style('strong', 'wrote')}  {show(str(one.file))}")
        click.echo(render_waiver_facts(one.waiver, style=style, width=width), nl=False)
        if key is None:
            click.echo("note   the request is not signed, so nobody can approve it: ask again with --key", err=True)
        elif one.approvable:
            needed = f"{one.threshold} of " if one.threshold > 1 else ""
            who = show(" or ".join(one.approvers) if one.threshold == 1 else ", ".join(one.approvers))
            click.echo(f"next   {needed}{who}: policyd waiver approve {show(str(one.file))} --key KEY")
        else:
            who = show(", ".join(one.approvers)) or "nobody else"
            more = "docs/waivers.md says how the trust policy gets another waiver approver"
            click.echo(f"note   it takes {one.threshold} to approve it, and {who} can: {more}", err=True)
    return 0


@waiver_command.command("approve")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@_key_option("waiver-approver", required=True)
@click.option("--yes", is_flag=True, help="Sign without asking; where there is no terminal, this is needed.")
@engine_option
@settings_option
def approve_command(files: tuple[str, ...], key: str, yes: bool, engine: str | None, settings: Path | None) -> int:
    """Show what a waiver permits, and sign it.

    FILE is a waiver's file, or the beginning of its name. The violation has to be there as it was requested, and who
    requested it can't approve it.
    """
    import sys
    from functools import cache

    from policyd.adapters import clock
    from policyd.app.waiver_signing import propose_approval, sign_approval
    from policyd.errors import UsageError
    from policyd.report.text import show
    from policyd.report.waiver_text import render_excerpt, render_waiver_facts

    password = cache(lambda: password_from_environment_or_prompt(f"Passphrase of {show(str(key))}"))
    style, width = terminal_style()
    for name in files:
        proposal = propose_approval(name, key=key, password=password, settings=settings, engine=engine, now=clock.now())
        index = proposal.place.violations.index(proposal.violation)
        click.echo(f"{style('strong', 'waiver')}  {show(str(proposal.file))}")
        click.echo(render_waiver_facts(proposal.waiver, style=style, width=width), nl=False)
        click.echo(render_excerpt(proposal.place.judged, index, style=style, width=width), nl=False)
        if not yes and not sys.stdin.isatty():
            raise UsageError(
                "nothing was signed: there is no terminal to ask on",
                where=str(proposal.file),
                fix="read what is shown, then add --yes",
            )
        if not yes and not click.confirm(f"Approve this as {show(proposal.approver)}?", err=True):
            click.echo("not approved", err=True)
            return 1
        sign_approval(proposal)
        if proposal.missing:
            click.echo(f"approved by {show(proposal.approver)}; {proposal.missing} more to go")
        else:
            click.echo(f"approved by {show(proposal.approver)}: it is complete")
    return 0


@waiver_command.command("revoke")
@click.argument("name", metavar="FILE|ID")
@click.option("--reason", required=True, help="Why it is taken back.")
@_key_option("waiver-approver", required=True)
@settings_option
def revoke_command(name: str, reason: str, key: str, settings: Path | None) -> int:
    """Take a waiver back: one waiver approver is enough, and nothing brings it to life again.

    ID is the beginning of its file's name, or its whole SHA-256. The revocation is written beside the waiver and kept
    on this machine, where a branch without that file changes nothing.
    """
    from policyd.adapters import clock
    from policyd.app.waiver_signing import revoke_waiver
    from policyd.report.text import show

    revoked = revoke_waiver(
        name,
        reason=reason,
        key=key,
        password=lambda: password_from_environment_or_prompt(f"Passphrase of {show(str(key))}"),
        settings=settings,
        now=clock.now(),
    )
    click.echo(f"revoked  sha256:{revoked.waiver_sha256}, by {show(revoked.by)}")
    click.echo(f"wrote    {show(revoked.file.name)}, beside the waiver")
    return 0


@waiver_command.command("list")
@format_option("text", "json")
@engine_option
@settings_option
def list_command(output_format: str, engine: str | None, settings: Path | None) -> int:
    """Show every waiver of this project and its state.

    The pipelines they are for are judged, which tells those in use from unused and orphaned ones.
    """
    _show(_list(engine, settings), output_format)
    return 0


@waiver_command.command("check")
@format_option("text", "json")
@engine_option
@settings_option
def check_command(output_format: str, engine: str | None, settings: Path | None) -> int:
    """Verify every waiver of this project. Exits 1 if one is invalid.

    Invalid is what nobody granted so: changed after signing, signed by the wrong person, not readable. Waivers that
    wait for approval, have expired, or are not needed any more are shown and no reason to fail.
    """
    listed = _list(engine, settings)
    _show(listed, output_format)
    return int(listed.exit_code)


def _list(engine: str | None, settings: Path | None) -> Listed:
    from policyd.adapters import clock
    from policyd.app.waiver_list import list_waivers

    return list_waivers(settings=settings, engine=engine, now=clock.now())


def _show(listed: Listed, output_format: str) -> None:
    if output_format == "json":
        from policyd.report.json_text import render_json

        click.echo(render_json(listed.to_json()), nl=False)
        return
    from policyd.report.waiver_text import render_waivers

    style, width = terminal_style()
    click.echo(render_waivers(listed.waivers, governance=listed.governance, style=style, width=width), nl=False)
