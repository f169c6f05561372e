"""What the stage gate sees: the stage's own facts, and the verified evidence of what it needs.

A stage that deploys or monitors answers for everything before it, so it sees the evidence of all stages it needs,
directly or not. Any other sees those it names and those whose products it takes: that keeps a run of n stages linear.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from policyd.models.base import RunId
from policyd.models.decision import Gate
from policyd.models.facts import Facts
from policyd.models.input import PipelineRef, PlanSummary, Repository, ResultDocument, StageEvidence, StageInput
from policyd.models.pipeline import StageKind
from policyd.models.plan import Plan, PlannedStage

_FAR_SIGHTED = frozenset({StageKind.DEPLOY, StageKind.MONITOR})


def summarise_plan(plan: Plan) -> PlanSummary:
    """Return the part of the plan that stage and release rules see."""
    return PlanSummary(
        sha256=plan.sha256,
        pipeline=plan.pipeline,
        source=plan.source,
        sandbox=plan.sandbox,
        builder_id=plan.builder_id,
        governance=plan.governance,
    )


class StageInputs:
    """Makes the input of each stage of one plan. Facts are sorted by stage once."""

    def __init__(self, plan: Plan, facts: Facts, pipeline: PipelineRef, repository: Repository) -> None:
        """Take the plan and the facts of the pipeline it was made from."""
        self._plan = plan
        self._summary = summarise_plan(plan)
        self._pipeline = pipeline
        self._repository = repository
        self._needs = {stage.name: stage.needs for stage in plan.stages}
        self._facts: dict[str, dict[str, list[object]]] = defaultdict(lambda: {name: [] for name in Facts.model_fields})
        for kind in Facts.model_fields:
            for fact in getattr(facts, kind):
                self._facts[fact.name if kind == "stages" else fact.stage][kind].append(fact)

    def needed(self, stage: PlannedStage) -> tuple[str, ...]:
        """Return the stages whose evidence `stage` is judged by, each after what it needs, without repeats."""
        if stage.kind not in _FAR_SIGHTED:
            named = {*stage.needs, *(product.partition(".")[0] for product in stage.products)}
            return tuple(sorted(named))
        found: dict[str, None] = {}
        queue = list(stage.needs)
        while queue:
            name = queue.pop()
            if name not in found:
                found[name] = None
                queue.extend(self._needs[name])
        return tuple(sorted(found))

    def make(
        self,
        stage: PlannedStage,
        *,
        run_id: RunId,
        attempt: int,
        evaluated_at: str,
        evidence: Mapping[str, StageEvidence],
        results: Mapping[str, Iterable[ResultDocument]],
    ) -> StageInput:
        """Return the input of the stage gate for one attempt of `stage`.

        `evidence` and `results` are by stage, for stages that ended; a needed stage without evidence stays out, and
        the rule `evidence.failed_need` sees that it is missing.
        """
        needed = self.needed(stage)
        return StageInput.model_construct(
            **self._facts[stage.name],  # type: ignore[arg-type]  # lists of the facts the fields name
            gate=Gate.STAGE,
            evaluated_at=evaluated_at,
            governance=self._plan.governance,
            repository=self._repository,
            pipeline=self._pipeline,
            plan=self._summary,
            stage=stage,
            run_id=run_id,
            attempt=attempt,
            requester=self._plan.requester,
            evidence=[evidence[name] for name in needed if name in evidence],
            results=[result for name in needed for result in results.get(name, ())],
        )
