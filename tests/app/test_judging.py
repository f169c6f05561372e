"""One place chooses policy set, rules and engine; nothing chosen there may lower what the operator asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from policyd.app.check import judge_all
from policyd.app.judging import Judge, make_repository, open_judge
from policyd.app.policy_layers import load_layers
from policyd.errors import EngineError, PolicyError, SettingsError
from policyd.models.decision import EngineRef, Gate, Level, Severity, Verdict
from policyd.models.settings import ProjectSettings
from policyd.pipeline.reading import read_pipeline
from policyd.policy.catalogue import RuleMeta
from policyd.policy.engine import Answer
from policyd.report.findings import Findings

NOW = datetime(2027, 6, 1, tzinfo=UTC)
NOTHING = ProjectSettings(policyd="project/v1")
PIPELINE = read_pipeline(
    "pipeline.yaml", b"policyd: pipeline/v1\nname: a\nstages:\n  - {name: a, kind: scan, run: 'true'}\n"
)


@dataclass
class SilentEngine:
    """Answers nothing, or what it is told to."""

    answers: dict[str, Answer] = field(default_factory=dict)
    error: Exception | None = None
    ref: EngineRef = field(default_factory=lambda: EngineRef(name="silent", version="0"))

    def query(
        self, entrypoints: Sequence[str], document: bytes, *, meanwhile: Callable[[], object] | None = None
    ) -> dict[str, Answer]:
        if self.error is not None:
            raise self.error
        return {one: self.answers[one] for one in entrypoints if one in self.answers}


def judge(engine: SilentEngine, project: ProjectSettings = NOTHING, fail_on: Severity | None = None) -> Judge:
    loaded = load_layers(None, project, root=None, now=NOW)
    return Judge(loaded.bind(), (engine,), "operator", fail_on)


def rules(judge: Judge, gate: Gate, dialect: str | None = None) -> tuple[RuleMeta, ...]:
    return judge.layers.organisation.rules(gate, dialect)


def test_an_engine_that_says_nothing_allows_nothing() -> None:
    decision = judge(SilentEngine()).judge_pipeline(PIPELINE, make_repository([PIPELINE]), now=NOW)

    assert decision.verdict is Verdict.UNDECIDED
    assert len(decision.problems) == len(decision.rules) > 0


def test_an_engine_that_dies_allows_nothing() -> None:
    engine = SilentEngine(error=EngineError("it died", where="regorus", fix="none"))

    decision = judge(engine).judge_pipeline(PIPELINE, make_repository([PIPELINE]), now=NOW)

    assert decision.verdict is Verdict.UNDECIDED
    assert [problem.message for problem in decision.problems] == ["it died"]


def test_one_rule_without_an_answer_outweighs_all_that_passed() -> None:
    silent = judge(SilentEngine())
    asked = rules(silent, Gate.PIPELINE, "policyd")
    passed = {rule.entrypoint: Answer(value=[], error=None) for rule in asked}
    all_of_them = judge(SilentEngine(passed)).judge_pipeline(PIPELINE, make_repository([PIPELINE]), now=NOW)
    passed.pop(asked[-1].entrypoint)

    all_but_one = judge(SilentEngine(passed)).judge_pipeline(PIPELINE, make_repository([PIPELINE]), now=NOW)

    assert all_of_them.verdict is Verdict.ALLOW
    assert all_but_one.verdict is Verdict.UNDECIDED


def test_every_gate_of_the_baseline_asks_something() -> None:
    for gate in Gate:
        assert rules(judge(SilentEngine()), gate)
    for dialect in ("policyd", "github"):
        assert len(rules(judge(SilentEngine()), Gate.PIPELINE, dialect)) >= 12


def test_a_project_only_adds_rules() -> None:
    base = {rule.id for rule in rules(judge(SilentEngine()), Gate.PIPELINE)}
    project = ProjectSettings(policyd="project/v1", rules=("hygiene.missing_timeout",))

    assert {rule.id for rule in rules(judge(SilentEngine(), project), Gate.PIPELINE)} == base | {
        "hygiene.missing_timeout"
    }


@pytest.mark.parametrize(
    ("option", "project", "expected"),
    [
        (None, None, None),
        (Severity.LOW, None, Severity.LOW),
        (None, Severity.LOW, Severity.LOW),
        (Severity.LOW, Severity.CRITICAL, Severity.LOW),
        (Severity.CRITICAL, Severity.LOW, Severity.LOW),
    ],
)
def test_of_two_severities_to_fail_on_the_stricter_holds(
    option: Severity | None, project: Severity | None, expected: Severity | None
) -> None:
    settings = ProjectSettings(policyd="project/v1", fail_on=project)

    assert judge(SilentEngine(), settings, option).terms.fail_on is expected


def test_a_level_for_a_rule_that_is_not_there_is_an_error() -> None:
    project = ProjectSettings(policyd="project/v1", levels={"hygiene.mising_timeout": Level.HARD})

    with pytest.raises(SettingsError, match=r"no rule 'hygiene\.mising_timeout'"), open_judge(None, project):
        pass


def test_an_engine_nobody_knows_is_an_error() -> None:
    with pytest.raises(PolicyError, match="no engine called"), open_judge(None, NOTHING, engine="best"):
        pass


def test_no_pipeline_at_all_is_no_verdict() -> None:
    findings = judge_all(judge(SilentEngine()), [], [], NOW)

    assert findings == Findings((), ())
    assert findings.verdict is Verdict.NOT_EVALUATED
