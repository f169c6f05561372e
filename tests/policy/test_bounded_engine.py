from __future__ import annotations

from collections.abc import Callable, Sequence

from policyd.models.decision import EngineRef
from policyd.policy.bounded_engine import MAX_FINDINGS, BoundedEngine
from policyd.policy.engine import Answer


class Finding:
    """An engine whose every rule finds as many things."""

    ref = EngineRef(name="finding", version="0")

    def __init__(self, things: int) -> None:
        self.things = things

    def query(
        self, entrypoints: Sequence[str], document: bytes, *, meanwhile: Callable[[], object] | None = None
    ) -> dict[str, Answer]:
        return {name: Answer(value=[{}] * self.things) for name in entrypoints}


def test_as_much_as_anybody_reads_is_passed_on() -> None:
    answers = BoundedEngine(Finding(MAX_FINDINGS)).query(["a", "b"], b"{}")

    assert [len(answer.value) for answer in answers.values() if isinstance(answer.value, list)] == [MAX_FINDINGS] * 2


def test_a_rule_that_finds_more_has_not_answered() -> None:
    """It must not seem to have found nothing, either."""
    (answer,) = BoundedEngine(Finding(MAX_FINDINGS + 1)).query(["a"], b"{}").values()

    assert answer.error == "it found 1001 things, more than the 1000 that are weighed"
    assert answer.value is None
