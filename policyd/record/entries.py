"""An entry is the canonical JSON of one event: those bytes are hashed, stored, exported and parsed again."""

from __future__ import annotations

from pydantic import ValidationError

from policyd.errors import RecordError, StoreError
from policyd.models.records import Event

MAX_ENTRY_BYTES = 65_535  # C2SP tlog-tiles gives an entry's length 16 bits


def render_entry(event: Event) -> bytes:
    """Return the entry for `event`. Raises `StoreError` if it is too long to be recorded."""
    entry = event.to_json()
    if len(entry) > MAX_ENTRY_BYTES:
        raise StoreError(
            f"an event of {len(entry)} bytes does not fit an entry of {MAX_ENTRY_BYTES}",
            where=f"{event.kind} of run {event.run_id}",
            fix="store the long part as evidence and name it by digest",
        )
    return entry


def read_entry(entry: bytes, number: int) -> Event:
    """Return the event of entry `number`. Raises `RecordError` unless it is one, in its canonical form."""
    where = f"record entry {number}"
    try:
        event = Event.model_validate_json(entry)
    except ValidationError as error:
        reason = error.errors(include_url=False, include_input=False)[0]
        raise RecordError(
            f"an entry is not an event: {reason['msg']} ({'.'.join(map(str, reason['loc']))})",
            where=where,
            fix="if a newer policyd wrote it, use that one; else the record was changed",
        ) from error
    if event.to_json() != entry:
        raise RecordError("an entry is not canonical JSON", where=where, fix="the record was not written by policyd")
    return event
