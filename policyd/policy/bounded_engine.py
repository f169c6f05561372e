"""An engine whose rules are written by whoever is judged: what they answer is bounded before it is weighed.

A rule that finds a million things costs the one who asks it memory and time for each, in a process without limits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from policyd.models.decision import EngineRef
from policyd.policy.engine import Answer, PolicyEngine

MAX_FINDINGS = 1000  # of one rule in one input; nobody reads more


class BoundedEngine:
    """A `PolicyEngine` that asks another. A rule that finds more than `MAX_FINDINGS` has not answered."""

    def __init__(self, engine: PolicyEngine) -> None:
        """Whoever made `engine` closes it."""
        self._engine = engine

    @property
    def ref(self) -> EngineRef:
        """Name and version of the engine that is asked."""
        return self._engine.ref

    def query(
        self, entrypoints: Sequence[str], document: bytes, *, meanwhile: Callable[[], object] | None = None
    ) -> Mapping[str, Answer]:
        """Answer as the engine does, with an error in the place of what is too much."""
        answers = self._engine.query(entrypoints, document, meanwhile=meanwhile)
        return {name: _bound(answer) for name, answer in answers.items()}


def _bound(answer: Answer) -> Answer:
    if isinstance(answer.value, list) and len(answer.value) > MAX_FINDINGS:
        return Answer(error=f"it found {len(answer.value)} things, more than the {MAX_FINDINGS} that are weighed")
    return answer
