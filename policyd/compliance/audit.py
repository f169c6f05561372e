"""Joins what was judged and what ran with the controls of the frameworks asked for.

Reading comes first, elsewhere; from here on the answer depends on the arguments alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from policyd.compliance.assess import assess, latest_finished
from policyd.compliance.evidence import ControlRule, DecisionMade
from policyd.compliance.models import (
    AuditedPipeline,
    AuditReport,
    Framework,
    RunEvidence,
    UnreadablePipeline,
)
from policyd.models.decision import Decision, Gate
from policyd.models.plan import Governance, PolicySetRef


def assess_repository(
    frameworks: Sequence[Framework],
    catalogue: Mapping[str, ControlRule],
    decisions: Sequence[DecisionMade],
    runs: Iterable[RunEvidence],
    *,
    repository: str,
    generated_at: str,
    version: str,
    governance: Governance,
    unreadable: Sequence[UnreadablePipeline] = (),
) -> AuditReport:
    """Return where every control of every framework stands for one repository.

    `decisions` are those of its pipelines, made now, and any verified ones of its runs. Of `runs` the newest finished
    one of each pipeline counts; how many others there are is in the report. `version` is policyd's.
    """
    runs = list(runs)
    considered = latest_finished(runs)
    return AuditReport(
        repository=repository,
        generated_at=generated_at,
        version=version,
        policy_sets=_policy_sets(decisions),
        governance=governance,
        pipelines=tuple(_audited(made.decision) for made in decisions if made.decision.gate is Gate.PIPELINE),
        unreadable=tuple(unreadable),
        runs=considered,
        runs_left_out=len(runs) - len(considered),
        frameworks=tuple(
            assess(framework, rules=catalogue.values(), decisions=decisions, runs=considered, unreadable=unreadable)
            for framework in frameworks
        ),
    )


def _policy_sets(decisions: Sequence[DecisionMade]) -> tuple[PolicySetRef, ...]:
    found = {
        layer.sha256: PolicySetRef(name=layer.name, sha256=layer.sha256)
        for made in decisions
        for layer in made.decision.layers
    }
    found |= {made.decision.policy_set.sha256: made.decision.policy_set for made in decisions}
    return tuple(found[sha256] for sha256 in sorted(found))


def _audited(decision: Decision) -> AuditedPipeline:
    effects = Counter(violation.effect.value for violation in decision.violations)
    return AuditedPipeline(
        path=decision.subject,
        verdict=decision.verdict,
        rules=len(decision.rules),
        deny=effects["deny"],
        warn=effects["warn"],
        waived=effects["waived"],
        input_sha256=decision.input_sha256,
    )
