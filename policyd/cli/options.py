"""Options that commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from datetime import datetime

    from policyd.report.layout import Look, Style

F = TypeVar("F", bound=Callable[..., Any])


def settings_option(command: F) -> F:
    """`--settings FILE`: operator settings."""
    return click.option(
        "--settings",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="POLICYD_SETTINGS",
        show_envvar=True,
        help="Operator settings; else /etc/policyd/settings.yaml, else your configuration directory.",
    )(command)


def format_option(*formats: str) -> Callable[[F], F]:
    """`--format`: how the answer is written on stdout."""
    return click.option(
        "--format",
        "output_format",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        envvar="POLICYD_FORMAT",
        show_envvar=True,
        help="How the answer is written on stdout.",
    )


def password_from_environment_or_prompt(prompt: str, *, confirm: bool = False) -> str:
    """Return POLICYD_KEY_PASSWORD, else what a person types on the terminal, else the empty passphrase."""
    import os
    import sys

    if "POLICYD_KEY_PASSWORD" in os.environ:
        return os.environ["POLICYD_KEY_PASSWORD"]
    if sys.stdin.isatty():
        typed: str = click.prompt(
            prompt, hide_input=True, confirmation_prompt=confirm, default="", show_default=False, err=True
        )
        return typed
    return ""


def timestamp_options(command: F) -> F:
    """`--timestamp-url` and `--timestamp-chain`: have an RFC 3161 authority say when the signature was there."""
    url = click.option(
        "--timestamp-url",
        metavar="URL",
        envvar="POLICYD_TIMESTAMP_URL",
        show_envvar=True,
        help="Ask this RFC 3161 authority for a timestamp; else `timestamp` in operator settings, else none.",
    )
    chain = click.option(
        "--timestamp-chain",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The authority's certificates (PEM); else those that the trust policy pins.",
    )
    return url(chain(command))


def read_time(_context: click.Context, _option: click.Parameter, text: str | None) -> datetime | None:
    """Return the time an option names: RFC 3339 with its offset, or a date, which begins at 00:00 UTC."""
    from datetime import UTC, date, datetime, time

    if text is None:
        return None
    try:
        if len(text) == len("2027-01-01"):
            return datetime.combine(date.fromisoformat(text), time(), UTC)
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.utcoffset() is None:
        raise click.BadParameter(f"{text!r} is no time: write 2027-01-31 or 2027-01-31T12:00:00Z")
    return moment


def engine_option(command: F) -> F:
    """`--engine`: which Rego engine answers."""
    return click.option(
        "--engine",
        type=click.Choice(["embedded", "opa", "both"]),
        envvar="POLICYD_ENGINE",
        show_envvar=True,
        help="Which Rego engine answers; operator settings choose when this doesn't. "
        "`both` asks both and takes no answer in which they differ.",
    )(command)


#: What each look is on a terminal. Colour is never the only sign: the words say the same.
LOOKS: dict[Look, dict[str, Any]] = {
    "bad": {"fg": "red", "bold": True},
    "doubt": {"fg": "magenta", "bold": True},
    "warn": {"fg": "yellow", "bold": True},
    "good": {"fg": "green", "bold": True},
    "strong": {"bold": True},
    "place": {"fg": "cyan"},
    "quiet": {"dim": True},
}


def terminal_style() -> tuple[Style, int]:
    """Return how stdout is styled (not at all where it is no terminal) and how many columns it has."""
    import shutil
    import sys

    from policyd.report.layout import DEFAULT_WIDTH, plain

    context = click.get_current_context()
    if not sys.stdout.isatty() or context.color is False:
        return plain, DEFAULT_WIDTH

    def style(look: Look, text: str) -> str:
        return click.style(text, **LOOKS[look])

    return style, max(60, min(shutil.get_terminal_size().columns, 120))


def sandbox_option(command: F) -> F:
    """`--sandbox`: how stages are isolated."""
    return click.option(
        "--sandbox",
        type=click.Choice(["bwrap", "none"]),
        default="bwrap",
        show_default=True,
        envvar="POLICYD_SANDBOX",
        show_envvar=True,
        help="How stages are isolated. `none` is recorded in every decision and attestation.",
    )(command)
