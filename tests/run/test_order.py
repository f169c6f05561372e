"""The order of stages as a state machine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyd.models.manifest import StageState
from policyd.run.order import FINAL, StageOrder, sort_stages

ENDS = FINAL - {StageState.SKIPPED}


def test_stages_come_after_what_they_need_and_otherwise_in_file_order() -> None:
    assert sort_stages({"c": ["a"], "a": [], "b": []}) == ("a", "b", "c")


def test_a_circle_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="a, b"):
        sort_stages({"a": ["b"], "b": ["a"], "c": []})


def test_a_run_without_stages_did_not_succeed() -> None:
    order = StageOrder({})

    assert order.done
    assert not order.succeeded


def test_a_stage_is_ready_only_when_everything_it_needs_succeeded() -> None:
    order = StageOrder({"a": [], "b": [], "c": ["a", "b"]})
    assert [order.next_ready(), order.next_ready(), order.next_ready()] == ["a", "b", None]

    order.finish("a", StageState.SUCCEEDED)
    assert order.next_ready() is None
    order.finish("b", StageState.SUCCEEDED)

    assert order.next_ready() == "c"


@pytest.mark.parametrize("end", sorted(ENDS - {StageState.SUCCEEDED}))
def test_any_end_but_success_skips_what_needs_it_and_nothing_else(end: StageState) -> None:
    order = StageOrder({"a": [], "b": ["a"], "c": ["b"], "d": []})
    assert order.next_ready() == "a"

    skipped = order.finish("a", end)

    assert skipped == ("b", "c")
    assert order.reasons["c"] == "needs b, which did not succeed"
    assert order.next_ready() == "d"


def test_a_stage_that_does_not_run_cannot_end() -> None:
    order = StageOrder({"a": []})
    with pytest.raises(ValueError, match="not running"):
        order.finish("a", StageState.SUCCEEDED)


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    names = [f"s{number}" for number in range(draw(st.integers(1, 12)))]
    return {
        name: draw(st.lists(st.sampled_from(names[:index]), unique=True)) if index else []
        for index, name in enumerate(names)
    }


@given(graphs(), st.data())
def test_no_stage_ever_starts_before_what_it_needs_succeeded(needs: dict[str, list[str]], data: st.DataObject) -> None:
    order = StageOrder(needs)
    running: list[str] = []
    while not order.done:
        while (name := order.next_ready()) is not None:
            assert all(order.states[other] is StageState.SUCCEEDED for other in needs[name])
            running.append(name)
        ended = running.pop(data.draw(st.integers(0, len(running) - 1)))
        order.finish(ended, data.draw(st.sampled_from(sorted(ENDS))))

    assert set(order.states.values()) <= FINAL
    for name, state in order.states.items():
        if state is StageState.SKIPPED:
            assert any(order.states[other] is not StageState.SUCCEEDED for other in needs[name])
