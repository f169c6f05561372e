"""Guards that are joined."""

from __future__ import annotations

from policyd.pipeline.guards import all_of, any_of, with_guard

LABEL, ACTOR = frozenset(("label",)), frozenset(("actor",))
NONE: frozenset[str] = frozenset()


def test_what_is_joined_by_and_adds_up() -> None:
    assert all_of((LABEL, ACTOR)) == LABEL | ACTOR
    assert all_of(()) == NONE


def test_what_cannot_happen_cannot_happen_together_with_anything() -> None:
    assert all_of((LABEL, None)) is None


def test_what_is_joined_by_or_asks_only_for_what_all_sides_ask_for() -> None:
    assert any_of((LABEL | ACTOR, LABEL)) == LABEL
    assert any_of((LABEL, NONE)) == NONE


def test_a_side_that_cannot_happen_takes_no_guard_away() -> None:
    assert any_of((None, LABEL)) == LABEL
    assert any_of((None, None)) is None


def test_a_guard_is_added_to_every_way_in() -> None:
    assert with_guard({"push": NONE, "pull_request": LABEL}, "actor") == {"push": ACTOR, "pull_request": LABEL | ACTOR}
