"""Nothing is met because nothing was looked at, and the worst that was found wins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations

import pytest

from policyd.compliance.assess import assess, latest_finished
from policyd.compliance.evidence import ControlRule, DecisionMade
from policyd.compliance.models import ControlStatus, Framework, RunEvidence, Speaks, Status, UnreadablePipeline
from policyd.models.decision import Effect, Gate, Problem, Severity, Verdict, Violation

MakeMade = Callable[..., DecisionMade]
MakeViolation = Callable[..., Violation]
MakeRun = Callable[..., RunEvidence]


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    controls: tuple[str, ...]
    applies_to: tuple[str, ...] = ("policyd", "github")
    gate: Gate = Gate.PIPELINE


CONTROL = "OWASP-CICD-SEC-4"  # requires rules, and nothing else


def status_of(
    framework: Framework,
    control: str,
    *,
    rules: list[ControlRule] | None = None,
    decisions: list[DecisionMade] | None = None,
    runs: list[RunEvidence] | None = None,
    unreadable: list[UnreadablePipeline] | None = None,
) -> ControlStatus:
    found = assess(
        framework, rules=rules or [], decisions=decisions or [], runs=runs or [], unreadable=unreadable or []
    )
    return next(status for status in found.controls if status.control.id == control)


def test_with_nothing_to_look_at_nothing_is_met(owasp: Framework, slsa: Framework, rule: ControlRule) -> None:
    for framework in (owasp, slsa):
        for rules in ([], [rule]):
            found = assess(framework, rules=rules, decisions=[], runs=[])

            assert {status.status for status in found.controls} == {Status.NOT_TESTED}
            assert all(status.reasons for status in found.controls)


def test_a_rule_asked_and_kept_meets_its_control(owasp: Framework, rule: ControlRule, make_made: MakeMade) -> None:
    status = status_of(owasp, CONTROL, rules=[rule], decisions=[make_made()])

    assert status.status is Status.MET
    assert status.evidence[0].subject == "ci.yml"
    assert "injection.expansion" in status.evidence[0].text
    assert status.evidence[0].sha256 == "b" * 64


def test_a_rule_for_another_control_says_nothing(owasp: Framework, rule: ControlRule, make_made: MakeMade) -> None:
    assert status_of(owasp, "OWASP-CICD-SEC-3", rules=[rule], decisions=[make_made()]).status is Status.NOT_TESTED


def test_a_rule_that_was_not_asked_says_nothing(owasp: Framework, rule: ControlRule, make_made: MakeMade) -> None:
    status = status_of(owasp, CONTROL, rules=[rule], decisions=[make_made(rules=("hygiene.timeout",))])

    assert status.status is Status.NOT_TESTED
    assert "none of the 1 rules" in status.reasons[0]


def test_every_pipeline_has_to_be_asked(owasp: Framework, rule: ControlRule, make_made: MakeMade) -> None:
    other = make_made(subject="other.yml", rules=("hygiene.timeout",))

    status = status_of(owasp, CONTROL, rules=[rule], decisions=[make_made(), other])

    assert status.status is Status.NOT_TESTED
    assert "other.yml" in status.reasons[0]


def test_a_dialect_no_rule_can_judge_is_noted_and_never_enough(owasp: Framework, make_made: MakeMade) -> None:
    github = Rule("injection.expansion", (CONTROL,), ("github",))
    native = make_made("policyd", subject="pipeline.yaml", rules=("hygiene.timeout",))

    alone = status_of(owasp, CONTROL, rules=[github], decisions=[native])
    together = status_of(owasp, CONTROL, rules=[github], decisions=[native, make_made()])

    assert alone.status is Status.NOT_TESTED
    assert together.status is Status.MET
    assert any(evidence.speaks is Speaks.NOTE for evidence in together.evidence)


def test_an_unreadable_pipeline_keeps_the_control_from_being_met(
    owasp: Framework, rule: ControlRule, make_made: MakeMade
) -> None:
    file = UnreadablePipeline(path="odd.yml", cause="a key stands twice")

    status = status_of(owasp, CONTROL, rules=[rule], decisions=[make_made()], unreadable=[file])

    assert status.status is Status.NOT_TESTED
    assert status.reasons == ("odd.yml: could not be read: a key stands twice",)


@pytest.mark.parametrize("problem_rule", [None, "injection.expansion"])
def test_a_rule_that_could_not_be_judged_is_not_tested(
    owasp: Framework, rule: ControlRule, make_made: MakeMade, problem_rule: str | None
) -> None:
    problem = Problem(rule=problem_rule, message="took too long", where="rule process")
    made = make_made(verdict=Verdict.UNDECIDED, problems=(problem,))

    status = status_of(owasp, CONTROL, rules=[rule], decisions=[made])

    assert status.status is Status.NOT_TESTED
    assert "took too long" in status.reasons[0]


def test_the_problem_of_another_rule_does_not_touch_this_control(
    owasp: Framework, rule: ControlRule, make_made: MakeMade
) -> None:
    problem = Problem(rule="hygiene.timeout", message="took too long", where="rule process")
    made = make_made(verdict=Verdict.UNDECIDED, problems=(problem,))

    assert status_of(owasp, CONTROL, rules=[rule], decisions=[made]).status is Status.MET


@pytest.mark.parametrize("verdict", [Verdict.UNDECIDED, Verdict.NOT_EVALUATED])
def test_an_undecided_decision_without_a_reason_is_no_pass(
    owasp: Framework, rule: ControlRule, make_made: MakeMade, verdict: Verdict
) -> None:
    assert status_of(owasp, CONTROL, rules=[rule], decisions=[make_made(verdict=verdict)]).status is Status.NOT_TESTED


def test_a_violation_is_not_met_whatever_else_is_unknown(
    owasp: Framework, rule: ControlRule, make_made: MakeMade, make_violation: MakeViolation
) -> None:
    bad = make_made(verdict=Verdict.DENY, violations=(make_violation(),))
    unknown = make_made(subject="x.yml", verdict=Verdict.UNDECIDED)

    status = status_of(owasp, CONTROL, rules=[rule], decisions=[unknown, bad, make_made(subject="good.yml")])

    assert status.status is Status.NOT_MET
    assert status.reasons == (
        "ci.yml:3:5: injection.expansion (deny, high): a title is expanded into a script",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("severity", "expected"),
    [(Severity.LOW, Status.NOT_MET), (Severity.HIGH, Status.NOT_MET), (Severity.INFO, Status.MET)],
)
def test_a_warning_counts_unless_it_is_only_information(
    owasp: Framework,
    rule: ControlRule,
    make_made: MakeMade,
    make_violation: MakeViolation,
    severity: Severity,
    expected: Status,
) -> None:
    made = make_made(violations=(make_violation(effect=Effect.WARN, severity=severity),))

    assert status_of(owasp, CONTROL, rules=[rule], decisions=[made]).status is expected


def test_a_denial_counts_even_as_information(
    owasp: Framework, rule: ControlRule, make_made: MakeMade, make_violation: MakeViolation
) -> None:
    made = make_made(verdict=Verdict.DENY, violations=(make_violation(severity=Severity.INFO),))

    assert status_of(owasp, CONTROL, rules=[rule], decisions=[made]).status is Status.NOT_MET


def test_a_waived_violation_makes_it_waived_and_names_the_waiver(
    owasp: Framework, rule: ControlRule, make_made: MakeMade, make_violation: MakeViolation
) -> None:
    made = make_made(violations=(make_violation(effect=Effect.WAIVED, waiver="legacy-2026"),))

    status = status_of(owasp, CONTROL, rules=[rule], decisions=[made, make_made(subject="good.yml")])

    assert status.status is Status.WAIVED
    assert "legacy-2026" in status.reasons[0]


@pytest.mark.parametrize("waiver", [None, ""])
def test_a_waiver_without_a_name_waives_nothing(
    owasp: Framework, rule: ControlRule, make_made: MakeMade, make_violation: MakeViolation, waiver: str | None
) -> None:
    made = make_made(violations=(make_violation(effect=Effect.WAIVED, waiver=waiver),))

    assert status_of(owasp, CONTROL, rules=[rule], decisions=[made]).status is Status.NOT_MET


def test_one_standing_violation_beats_any_number_of_waived_ones(
    owasp: Framework, rule: ControlRule, make_made: MakeMade, make_violation: MakeViolation
) -> None:
    waived = make_violation(effect=Effect.WAIVED, waiver="legacy-2026")
    made = make_made(verdict=Verdict.DENY, violations=(waived, make_violation(), waived))

    assert status_of(owasp, CONTROL, rules=[rule], decisions=[made]).status is Status.NOT_MET


def test_what_policyd_cannot_see_is_never_met_and_can_be_broken(
    owasp: Framework, make_made: MakeMade, make_violation: MakeViolation
) -> None:
    configuration = Rule("injection.expansion", ("OWASP-CICD-SEC-7",))

    clean = status_of(owasp, "OWASP-CICD-SEC-7", rules=[configuration], decisions=[make_made()])
    broken = make_made(verdict=Verdict.DENY, violations=(make_violation(),))

    assert clean.status is Status.NOT_TESTED
    assert clean.reasons == (clean.control.not_covered,)
    assert status_of(owasp, "OWASP-CICD-SEC-7", rules=[configuration], decisions=[broken]).status is Status.NOT_MET


def test_a_perfect_hosted_run_meets_every_slsa_level(slsa: Framework, make_run: MakeRun) -> None:
    found = assess(slsa, rules=[], decisions=[], runs=[make_run()])

    assert {status.status for status in found.controls} == {Status.MET}


def test_a_local_build_reaches_level_1_and_says_why_not_2(slsa: Framework, make_run: MakeRun) -> None:
    run = make_run(builder_id="https://example.org/builders/local/bwrap")

    assert status_of(slsa, "SLSA-BUILD-L1", runs=[run]).status is Status.MET
    level_2 = status_of(slsa, "SLSA-BUILD-L2", runs=[run])
    assert level_2.status is Status.NOT_MET
    assert level_2.reasons == ("SLSA-BUILD-HOSTED: Hosted: not met",)
    assert "built locally" in status_of(slsa, "SLSA-BUILD-HOSTED", runs=[run]).reasons[0]
    assert status_of(slsa, "SLSA-BUILD-L3", runs=[run]).status is Status.NOT_MET


@pytest.mark.parametrize(
    ("change", "control", "expected"),
    [
        ({"products_with_provenance": 1}, "SLSA-BUILD-PROVENANCE-EXISTS", Status.NOT_MET),
        ({"products": 0, "products_with_provenance": 0}, "SLSA-BUILD-PROVENANCE-EXISTS", Status.NOT_TESTED),
        ({"decisions_verified": 3}, "SLSA-BUILD-CONSISTENT-PROCESS", Status.NOT_MET),
        ({"decisions_listed": 0, "decisions_verified": 0}, "SLSA-BUILD-CONSISTENT-PROCESS", Status.NOT_MET),
        ({"manifest_verified": False}, "SLSA-BUILD-CONSISTENT-PROCESS", Status.NOT_MET),
        ({"manifest_verified": False}, "SLSA-BUILD-PROVENANCE-EXISTS", Status.NOT_TESTED),
        ({"manifest_verified": False}, "SLSA-BUILD-ISOLATED", Status.NOT_TESTED),
        ({"manifest_verified": False}, "SLSA-BUILD-HOSTED", Status.NOT_TESTED),
        ({"manifest_verified": False}, "SLSA-BUILD-DISTRIBUTE-PROVENANCE", Status.NOT_TESTED),
        ({"summaries_verified": 0}, "SLSA-BUILD-DISTRIBUTE-PROVENANCE", Status.NOT_TESTED),
        ({"sandbox_modes": ("bwrap", "none")}, "SLSA-BUILD-ISOLATED", Status.NOT_MET),
        ({"sandbox_modes": ()}, "SLSA-BUILD-ISOLATED", Status.NOT_MET),
        ({"stages_run": 0}, "SLSA-BUILD-ISOLATED", Status.NOT_TESTED),
        ({"sandbox_modes": ("none",)}, "SLSA-BUILD-PROVENANCE-UNFORGEABLE", Status.NOT_MET),
        ({"governance": "self"}, "SLSA-BUILD-PROVENANCE-AUTHENTIC", Status.NOT_MET),
        ({"governance": "self"}, "SLSA-BUILD-HOSTED", Status.NOT_MET),
        ({"builder_max_level": 1}, "SLSA-BUILD-HOSTED", Status.NOT_MET),
        ({"builder_max_level": 2}, "SLSA-BUILD-L2", Status.MET),
        ({"builder_max_level": 2}, "SLSA-BUILD-L3", Status.NOT_MET),
        ({"state": "interrupted"}, "SLSA-BUILD-CONSISTENT-PROCESS", Status.NOT_TESTED),
    ],
)
def test_each_thing_missing_from_a_run_is_seen(
    slsa: Framework, make_run: MakeRun, change: dict[str, object], control: str, expected: Status
) -> None:
    assert status_of(slsa, control, runs=[make_run(**change)]).status is expected


@pytest.mark.parametrize(
    ("record", "expected"), [(True, Status.MET), (False, Status.NOT_MET), (None, Status.NOT_TESTED)]
)
def test_logging_needs_a_record_that_was_looked_at_and_agrees(
    owasp: Framework, make_run: MakeRun, record: bool | None, expected: Status
) -> None:
    assert status_of(owasp, "OWASP-CICD-SEC-10", runs=[make_run(record_verified=record)]).status is expected


def test_one_bad_run_outweighs_good_ones(owasp: Framework, make_run: MakeRun) -> None:
    runs = [make_run(), make_run(run_id="1" * 32, pipeline="other", products_with_provenance=0)]

    assert status_of(owasp, "OWASP-CICD-SEC-9", runs=runs).status is Status.NOT_MET


def test_the_newest_finished_run_of_each_pipeline_counts(make_run: MakeRun) -> None:
    runs = [
        make_run(run_id="1" * 32, started_at="2026-11-20T00:00:00Z"),
        make_run(run_id="2" * 32, started_at="2026-11-21T00:00:00Z", state="failed"),
        make_run(run_id="3" * 32, started_at="2026-11-22T00:00:00Z", state="interrupted"),
        make_run(run_id="4" * 32, pipeline="other", started_at="2026-01-01T00:00:00Z"),
    ]

    for order in permutations(runs):
        assert [run.run_id for run in latest_finished(order)] == ["2" * 32, "4" * 32]
