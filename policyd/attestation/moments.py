"""A gate's clock against the times that are already written down: what decides must not live before its evidence.

Whoever sets the clock back could let an expired waiver, key or trust policy count again, or a rule whose date has come
be only a warning. The newest time in the record and in verified evidence is a lower bound for now that nobody can
lower without breaking a signature (docs/threats.md, T23).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from policyd.errors import ClockBehind, VerificationFailed
from policyd.models.base import rfc3339


def read_moment(text: str, *, where: str) -> datetime:
    """Return the moment that `text` names (RFC 3339 with an offset). Raises `VerificationFailed` for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise _no_moment(text, where) from error
    if moment.utcoffset() is None:
        raise _no_moment(text, where)
    return moment


def require_not_behind(now: datetime, moments: Iterable[tuple[str, str | None]], *, where: str) -> None:
    """Raise `ClockBehind` if `now` lies before one of `moments`, pairs of what happened and when (None is passed over).

    Names the latest of them. Raises `VerificationFailed` for a time that is none.
    """
    read = [(read_moment(text, where=where), what) for what, text in moments if text is not None]
    if not read:
        return
    latest, what = max(read)
    if now < latest:
        raise ClockBehind(
            f"the clock says {rfc3339(now)}, which is before {what} ({rfc3339(latest)})",
            where=where,
            fix="set this machine's clock right; nothing is decided while it is behind what it has to judge",
        )


def _no_moment(text: str, where: str) -> VerificationFailed:
    return VerificationFailed(
        f"{text[:64]!r} is no time", where=where, fix="find out who wrote this: policyd writes RFC 3339 in UTC"
    )
