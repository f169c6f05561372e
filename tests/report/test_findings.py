"""What several files have in common is said once, and a denial stays one."""

from __future__ import annotations

from policyd.models.decision import Decision, Effect, EngineRef, Gate, Level, Place, Severity, Verdict, Violation
from policyd.models.plan import PolicySetRef
from policyd.report.findings import Findings, Judged, told_once

PLACE = Place(file="ci/base.yml", line=3, column=1, end_line=3, end_column=9)


def _violation(message: str, place: Place | None = PLACE) -> Violation:
    return Violation(
        rule="a.b",
        message=message,
        at=("commands", 0),
        place=place,
        effect=Effect.DENY,
        level=Level.SOFT,
        severity=Severity.HIGH,
    )


def _judged(path: str, *violations: Violation, known: frozenset[int] = frozenset()) -> Judged:
    decision = Decision(
        gate=Gate.PIPELINE,
        verdict=Verdict.DENY,
        subject=path,
        policy_set=PolicySetRef(name="set", sha256="0" * 64),
        engine=EngineRef(name="regorus", version="1"),
        input_sha256="0" * 64,
        rules=("a.b",),
        violations=violations,
        governance="self",
        decided_at="2027-06-01T00:00:00.000000Z",
    )
    return Judged(path, decision, known=known)


def _messages(findings: Findings) -> list[list[str]]:
    return [[found.message for found in judged.decision.violations] for judged in findings.judged]


def test_what_two_files_have_from_one_template_is_said_once() -> None:
    findings = Findings((_judged("base.yml", _violation("x")), _judged("ci.yml", _violation("x"), _violation("y"))))

    once = told_once(findings)

    assert _messages(once) == [["x"], ["y"]]
    assert once.verdict is findings.verdict is Verdict.DENY
    assert _messages(findings) == [["x"], ["x", "y"]]


def test_what_has_no_place_is_said_of_each_file() -> None:
    findings = Findings((_judged("a.yml", _violation("x", None)), _judged("b.yml", _violation("x", None))))

    assert _messages(told_once(findings)) == [["x"], ["x"]]


def test_a_denial_of_which_only_the_known_is_left_is_told_whole() -> None:
    second = _judged("b.yml", _violation("x"), _violation("y"), known=frozenset({1}))
    findings = Findings((_judged("a.yml", _violation("x")), second))

    once = told_once(findings)

    assert once.judged[1].verdict is Verdict.DENY
    assert _messages(once) == [["x"], ["x", "y"]]
