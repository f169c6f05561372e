"""Rules, decisions and runs for controls to be judged by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from policyd.compliance.evidence import DecisionMade
from policyd.compliance.frameworks import read_framework
from policyd.compliance.models import Framework, RunEvidence
from policyd.models.decision import Decision, Effect, EngineRef, Gate, Level, Place, Severity, Verdict, Violation
from policyd.models.plan import PolicySetRef

FRAMEWORKS = Path(__file__).resolve().parents[2] / "policies" / "frameworks"


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    controls: Sequence[str]
    gate: Gate = Gate.PIPELINE
    applies_to: Sequence[str] = ("policyd", "github")


MakeMade = Callable[..., DecisionMade]
MakeViolation = Callable[..., Violation]
MakeRun = Callable[..., RunEvidence]


@pytest.fixture
def rule() -> Rule:
    return Rule("injection.expansion", ("OWASP-CICD-SEC-4", "SLSA-BUILD-L1"))


@pytest.fixture
def make_made() -> MakeMade:
    """A decision of a pipeline, by default allowed with the one rule asked."""

    def make(dialect: str | None = "github", **changes: object) -> DecisionMade:
        decision = Decision(
            gate=Gate.PIPELINE,
            verdict=Verdict.ALLOW,
            subject="ci.yml",
            policy_set=PolicySetRef(name="baseline", sha256="a" * 64),
            engine=EngineRef(name="regorus", version="0.13.0"),
            input_sha256="b" * 64,
            rules=("injection.expansion",),
            governance="operator",
            decided_at="2026-11-23T13:00:00Z",
        )
        return DecisionMade(decision.model_copy(update=changes), dialect)

    return make


@pytest.fixture
def make_violation() -> MakeViolation:
    def make(**changes: object) -> Violation:
        violation = Violation(
            rule="injection.expansion",
            message="a title is expanded into a script",
            at=("expressions", 0),
            place=Place(file="ci.yml", line=3, column=5, end_line=3, end_column=9),
            effect=Effect.DENY,
            level=Level.HARD,
            severity=Severity.HIGH,
        )
        return violation.model_copy(update=changes)

    return make


@pytest.fixture
def make_run() -> MakeRun:
    """A run of a hosted builder in which everything holds."""

    def make(**changes: object) -> RunEvidence:
        run = RunEvidence(
            run_id="0" * 32,
            pipeline="demo",
            state="succeeded",
            started_at="2026-11-23T12:00:00Z",
            governance="operator",
            builder_id="https://ci.example.org/builders/pool/bwrap",
            plan_sha256="c" * 64,
            manifest_sha256="d" * 64,
            manifest_verified=True,
            decisions_listed=4,
            decisions_verified=4,
            products=2,
            products_with_provenance=2,
            summaries_verified=1,
            stages_run=3,
            sandbox_modes=("bwrap",),
            builder_max_level=3,
            record_verified=True,
        )
        return run.model_copy(update=changes)

    return make


def _framework(name: str) -> Framework:
    path = FRAMEWORKS / name
    return read_framework(str(path), path.read_bytes())


@pytest.fixture
def owasp() -> Framework:
    return _framework("owasp-cicd-sec.json")


@pytest.fixture
def slsa() -> Framework:
    return _framework("slsa-build-v1.2.json")
