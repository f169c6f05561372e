"""What an audit of a repository joins, and what it leaves out in the open."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from policyd.compliance.audit import assess_repository
from policyd.compliance.evidence import DecisionMade
from policyd.compliance.frameworks import read_framework
from policyd.compliance.models import AuditReport, RunEvidence, Status, UnreadablePipeline
from policyd.models.decision import Decision, Effect, EngineRef, Gate, Level, Severity, Verdict, Violation
from policyd.models.plan import PolicySetRef

FRAMEWORK = Path(__file__).resolve().parents[2] / "policies" / "frameworks" / "owasp-cicd-sec.json"


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    controls: tuple[str, ...]
    gate: Gate = Gate.PIPELINE
    applies_to: tuple[str, ...] = ("policyd", "github")


def decision(gate: Gate = Gate.PIPELINE, subject: str = "ci.yml", effects: tuple[Effect, ...] = ()) -> Decision:
    violations = tuple(
        Violation(
            rule="injection.expansion",
            message="x",
            at=("commands", 0),
            effect=effect,
            level=Level.SOFT,
            severity=Severity.HIGH,
            waiver="w-1" if effect is Effect.WAIVED else None,
        )
        for effect in effects
    )
    return Decision(
        gate=gate,
        verdict=Verdict.DENY if Effect.DENY in effects else Verdict.ALLOW,
        subject=subject,
        policy_set=PolicySetRef(name="baseline", sha256="a" * 64),
        engine=EngineRef(name="regorus", version="0.13.0"),
        input_sha256="b" * 64,
        rules=("injection.expansion",),
        violations=violations,
        governance="operator",
        decided_at="2026-11-23T13:00:00Z",
    )


def run(run_id: str, started_at: str) -> RunEvidence:
    return RunEvidence(
        run_id=run_id * 32,
        pipeline="demo",
        state="succeeded",
        started_at=started_at,
        governance="operator",
        builder_id="https://example.org/local/bwrap",
    )


def audit(
    decisions: list[Decision], runs: list[RunEvidence], unreadable: list[UnreadablePipeline] | None = None
) -> AuditReport:
    rule = Rule("injection.expansion", ("OWASP-CICD-SEC-4",))
    return assess_repository(
        [read_framework(FRAMEWORK.name, FRAMEWORK.read_bytes())],
        {rule.id: rule},
        [DecisionMade(one, "github") for one in decisions],
        runs,
        repository="/srv/demo",
        generated_at="2026-11-23T13:00:00Z",
        version="0.1.0",
        governance="operator",
        unreadable=unreadable or [],
    )


def test_the_report_says_what_was_looked_at() -> None:
    report = audit(
        [decision(effects=(Effect.DENY, Effect.WARN, Effect.WAIVED)), decision(Gate.RELEASE, "wheel")],
        [run("1", "2026-11-01T00:00:00Z"), run("2", "2026-11-02T00:00:00Z")],
    )

    (pipeline,) = report.pipelines
    assert (pipeline.path, pipeline.deny, pipeline.warn, pipeline.waived) == ("ci.yml", 1, 1, 1)
    assert [one.run_id[0] for one in report.runs] == ["2"]
    assert report.runs_left_out == 1
    assert [one.sha256 for one in report.policy_sets] == ["a" * 64]


@pytest.mark.parametrize("unreadable", [[], [UnreadablePipeline(path="odd.yml", cause="no YAML")]])
def test_an_unreadable_pipeline_reaches_the_conclusion(unreadable: list[UnreadablePipeline]) -> None:
    report = audit([decision()], [], unreadable)

    status = next(one for one in report.frameworks[0].controls if one.control.id == "OWASP-CICD-SEC-4")
    assert status.status is (Status.NOT_TESTED if unreadable else Status.MET)
    assert list(report.unreadable) == unreadable


def test_a_report_reads_back_as_it_was_written() -> None:
    report = audit([decision(effects=(Effect.DENY,))], [run("1", "2026-11-01T00:00:00Z")])

    assert AuditReport.model_validate_json(report.to_json()) == report
