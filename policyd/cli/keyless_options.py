"""The options of keyless signing, which `policyd sign` and `policyd attest` share, and what they say of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from policyd.app.keyless import Keyless, KeylessSigned

F = TypeVar("F", bound=Callable[..., Any])


def keyless_options(command: F) -> F:
    """`--keyless` and what says who signs, with which Sigstore instance."""
    for option in reversed(
        (
            click.option(
                "--keyless",
                is_flag=True,
                help="Sign as somebody an identity provider vouches for, without a key. Asks the services of the "
                "trust config; what they answer is verified before anything is written.",
            ),
            click.option(
                "--trust-config",
                type=click.Path(path_type=Path, dir_okay=False),
                envvar="POLICYD_TRUST_CONFIG",
                show_envvar=True,
                help="The Sigstore instance for --keyless: its trusted root and signing config, pinned by you.",
            ),
            click.option(
                "--identity-token",
                metavar="FILE|-",
                help="Sign as the holder of the identity token in this file, or on stdin; else as the GitHub or GitLab "
                "job that this is.",
            ),
            click.option("--browser", is_flag=True, help="Log in at a browser for an identity token."),
            click.option(
                "--cert-identity",
                metavar="NAME",
                help="Whom the certificate must name, where the token alone does not say.",
            ),
            click.option(
                "--cert-oidc-issuer",
                metavar="URL",
                help="Which identity provider it must name, where the token alone does not say.",
            ),
        )
    ):
        command = option(command)
    return command


def find_keyless_options(key: str | None, *, keyless: bool) -> Keyless | None:
    """Return who signs keyless by the command's options, None where a key signs; it must be one of the two."""
    from policyd.errors import UsageError

    context = click.get_current_context()
    if keyless == (key is not None):
        raise UsageError(
            "a file is signed with a key or keyless, one of the two",
            where=f"the options of `policyd {context.info_name}`",
            fix="give --key FILE|URI, or --keyless with --trust-config FILE",
        )
    names = ["trust_config", "identity_token", "browser", "cert_identity", "cert_oidc_issuer"]
    if keyless:
        names = ["timestamp_url", "timestamp_chain"]
    given = [name for name in names if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if given:
        raise UsageError(
            "keyless, timestamps come from the authority of the trust config"
            if keyless
            else "this says how to sign keyless, and a key is given",
            where=" and ".join(f"--{name.replace('_', '-')}" for name in given),
            fix="leave it out" if keyless else "leave it out, or sign with --keyless in place of --key",
        )
    if not keyless:
        return None
    from policyd.adapters import clock
    from policyd.app.keyless import find_keyless

    said = context.params
    return find_keyless(
        said["trust_config"],
        identity_token=said["identity_token"],
        browser=said["browser"],
        identity=said["cert_identity"],
        issuer=said["cert_oidc_issuer"],
        now=clock.now,
    )


def echo_keyless(signed: KeylessSigned) -> None:
    """Say as whom a file was signed keyless, when, and where that is logged."""
    from policyd.report.text import show

    found = signed.found
    assert found.signer is not None
    if signed.predicate_type is not None:
        click.echo(f"type      {show(signed.predicate_type)}")
    click.echo(f"signer    {show(found.signer.identity or '')}")
    click.echo(f"issuer    {show(found.signer.issuer or '')}")
    for moment, source in found.times:
        click.echo(f"time      {moment.isoformat()}, says {show(source)}")
    for url, index in found.log_entries:
        click.echo(f"log       entry {index} of {show(url)}")
    click.echo(f"bundle    {show(str(signed.bundle))}")
