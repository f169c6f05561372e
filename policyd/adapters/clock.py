"""The clock and the dice: the two things the core is handed instead of taking them."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime


def now() -> datetime:
    """Return the time now, in UTC, to the microsecond."""
    return datetime.now(UTC)


def rfc3339(moment: datetime) -> str:
    """Return `moment` as RFC 3339 in UTC with microseconds, such as `2026-01-02T03:04:05.000006Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def new_run_id() -> str:
    """Return 128 random bits in hex."""
    return secrets.token_hex(16)
