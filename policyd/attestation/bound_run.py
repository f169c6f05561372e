"""The one run that a statement is about."""

from __future__ import annotations

from dataclasses import dataclass

from policyd.models.base import RunId, Sha256
from policyd.models.plan import Plan


@dataclass(frozen=True, slots=True)
class BoundRun:
    """A run as docs/architecture.md ("One run") binds it: this plan, this run id, this check decision.

    `plan_sha256` is kept beside the plan because hashing a plan costs as much as it has stages, and every stage's
    statements name it.
    """

    plan: Plan
    plan_sha256: Sha256
    run_id: RunId
    check_sha256: Sha256  # of the check decision's bundle

    def attempt_name(self, stage: str, attempt: int) -> str:
        """Return the name of one start of a stage: `<run>/<stage>/<attempt>`."""
        return f"{self.run_id}/{stage}/{attempt}"
