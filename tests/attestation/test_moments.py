"""A clock that lies before what it has to judge decides nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from policyd.attestation.moments import read_moment, require_not_behind
from policyd.errors import ClockBehind, ExitCode, VerificationFailed

NOW = datetime(2027, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "moments",
    [
        [],
        [("nothing", None)],
        [("the run", "2027-01-01T12:00:00Z")],
        [("the run", "2027-01-01T12:00:00.000000Z"), ("a stage", "2020-01-01T00:00:00Z")],
        [("the run", "2027-01-01T13:30:00+02:00")],
    ],
)
def test_a_clock_that_is_not_behind_is_fine(moments: list[tuple[str, str | None]]) -> None:
    require_not_behind(NOW, moments, where="here")


@pytest.mark.parametrize("late", ["2027-01-01T12:00:00.000001Z", "2027-01-01T11:00:00-02:00", "2999-01-01T00:00:00Z"])
def test_a_clock_behind_any_of_them_is_refused_and_the_latest_is_named(late: str) -> None:
    moments = [("the start", "2020-01-01T00:00:00Z"), ("the end", late), ("nothing", None)]

    with pytest.raises(
        ClockBehind, match=r"the clock says 2027-01-01T12:00:00\.000000Z, which is before the end"
    ) as refused:
        require_not_behind(NOW, moments, where="here")

    assert refused.value.exit_code is ExitCode.UNDECIDED
    assert "clock" in refused.value.fix


@pytest.mark.parametrize("text", ["", "yesterday", "2027-01-01", "2027-01-01T12:00:00", "2027-13-01T00:00:00Z"])
def test_what_is_no_time_is_refused(text: str) -> None:
    """A time without an offset could be any of 26 hours."""
    with pytest.raises(VerificationFailed, match="no time"):
        read_moment(text, where="here")
    with pytest.raises(VerificationFailed):
        require_not_behind(NOW, [("x", text)], where="here")
