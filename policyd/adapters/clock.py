"""The clock and the dice: the two things the core is handed instead of taking them."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime


def now() -> datetime:
    """Return the time now, in UTC, to the microsecond."""
    return datetime.now(UTC)


def new_run_id() -> str:
    """Return 128 random bits in hex."""
    return secrets.token_hex(16)
