from __future__ import annotations

import pytest

from policyd.errors import RecordError, StoreError
from policyd.models.records import Event, EventKind
from policyd.record.entries import read_entry, render_entry

EVENT = Event(kind=EventKind.RUN_STARTED, at="2026-01-01T00:00:00Z", run_id="0" * 32, detail="caf\u00e9")


def test_an_entry_gives_its_event_back() -> None:
    assert read_entry(render_entry(EVENT), 0) == EVENT


def test_an_event_too_long_for_an_entry_is_refused() -> None:
    with pytest.raises(StoreError, match="does not fit"):
        render_entry(EVENT.model_copy(update={"detail": "x" * 65_535}))


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{}", id="no event"),
        pytest.param(render_entry(EVENT)[:-1] + b',"more":1}', id="an unknown field"),
        pytest.param(render_entry(EVENT) + b"\n", id="not canonical"),
        pytest.param(render_entry(EVENT).replace(b"run_started", b"run_invented"), id="an unknown kind"),
    ],
)
def test_what_is_no_entry_is_refused(entry: bytes) -> None:
    with pytest.raises(RecordError) as raised:
        read_entry(entry, 7)

    assert raised.value.where == "record entry 7"
