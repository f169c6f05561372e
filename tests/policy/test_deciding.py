from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from policyd.models.base import JsonPath
from policyd.models.canonical import canonical_json, sha256_hex
from policyd.models.decision import Decision, Effect, EngineRef, Gate, Level, Place, Problem, Severity, Verdict
from policyd.policy.catalogue import RuleMeta
from policyd.policy.deciding import MAX_MESSAGE_CHARACTERS, Raised, Subject, decide
from policyd.policy.engine import Answer
from policyd.policy.policy_set import PolicySet, read_policy_set

NOW = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
DOCUMENT = {"things": [{"name": "door"}, {"name": "wall", "height": 2.5}]}
FINDING = {"message": "the door is red", "at": ["things", 0]}


@pytest.fixture
def policy_set(files: Callable[..., dict[str, bytes]]) -> PolicySet:
    return read_policy_set(files("red", "blue"), "house")


@pytest.fixture
def red(policy_set: PolicySet) -> RuleMeta:
    return policy_set.catalogue["colours.red"]


@pytest.fixture
def weigh(policy_set: PolicySet) -> Callable[..., Decision]:
    def weigh(asked: list[RuleMeta], answers: dict[str, Answer], **options: object) -> Decision:
        given: dict[str, object] = {
            "now": NOW,
            "subject": Subject(gate=Gate.PIPELINE, name="pipeline.yaml", input_sha256="0" * 64),
            "document": DOCUMENT,
            "locate": lambda at: None,
            "policy_set": policy_set.ref,
            "engine": EngineRef(name="fake", version="1"),
            "governance": "operator",
            **options,
        }
        return decide(asked, answers, **given)  # type: ignore[arg-type]

    return weigh


Weigh = Callable[..., Decision]


def found(*findings: object) -> dict[str, Answer]:
    return {"policyd.colours.red.deny": Answer(value=list(findings))}


def test_rules_that_found_nothing_allow(weigh: Weigh, red: RuleMeta) -> None:
    decision = weigh([red], found())

    assert decision.verdict is Verdict.ALLOW
    assert decision.allowed
    assert decision.rules == ("colours.red",)
    assert decision.decided_at == "2026-12-01T12:00:00.000000Z"


def test_no_rule_asked_is_not_evaluated(weigh: Weigh) -> None:
    assert weigh([], {}).verdict is Verdict.NOT_EVALUATED
    assert not weigh([], {}).allowed


def test_a_finding_denies(weigh: Weigh, red: RuleMeta) -> None:
    decision = weigh([red], found(FINDING))

    assert decision.verdict is Verdict.DENY
    (violation,) = decision.violations
    assert violation.effect is Effect.DENY
    assert violation.at == ("things", 0)
    assert violation.part_sha256 == sha256_hex(canonical_json({"name": "door"}))


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"policyd.colours.red.deny": Answer()},
        {"policyd.colours.red.deny": Answer(error="boom")},
        {"policyd.colours.red.deny": Answer(value=[], error="boom")},
        {"policyd.colours.blue.deny": Answer(value=[])},
    ],
)
def test_a_rule_without_an_answer_leaves_it_undecided(weigh: Weigh, red: RuleMeta, answers: dict[str, Answer]) -> None:
    decision = weigh([red], answers)

    assert decision.verdict is Verdict.UNDECIDED
    assert decision.problems[0].rule == "colours.red"


@pytest.mark.parametrize(
    "value",
    [
        {},
        True,
        "x",
        0,
        {"message": "x", "at": []},
        ["text"],
        [None],
        [{}],
        [{"message": "x"}],
        [{"at": []}],
        [{"message": "", "at": []}],
        [{"message": 1, "at": []}],
        [{"message": "x", "at": "things"}],
        [{"message": "x", "at": [True]}],
        [{"message": "x", "at": [1.5]}],
        [{"message": "x", "at": [None]}],
        [{"message": "x", "at": ["a"] * 65}],
        [{"message": "x", "at": [], "severity": "low"}],
        [{"message": "x", "at": [], "confidence": "sure"}],
        [{"message": "x", "at": [], "related": {}}],
        [{"message": "x", "at": [], "related": [{"message": "y"}]}],
        [{"message": "x", "at": [], "related": [{"message": "y", "at": [], "more": 1}]}],
        [{"message": "x", "at": [], "fix": ""}],
        [FINDING, {"message": "x"}],
    ],
)
def test_an_answer_of_another_shape_leaves_it_undecided(weigh: Weigh, red: RuleMeta, value: object) -> None:
    assert weigh([red], {"policyd.colours.red.deny": Answer(value=value)}).verdict is Verdict.UNDECIDED


def test_doubt_outweighs_refusal(weigh: Weigh, policy_set: PolicySet) -> None:
    asked = list(policy_set.catalogue.values())

    decision = weigh(asked, found(FINDING))

    assert decision.verdict is Verdict.UNDECIDED
    assert [violation.rule for violation in decision.violations] == ["colours.red"]
    assert [problem.rule for problem in decision.problems] == ["colours.blue"]


def test_a_problem_from_before_leaves_it_undecided(weigh: Weigh, red: RuleMeta) -> None:
    problem = Problem(message="a file can't be read", where="x")

    assert weigh([red], found(), problems=[problem]).verdict is Verdict.UNDECIDED
    assert weigh([], {}, problems=[problem]).verdict is Verdict.UNDECIDED


def test_an_advisory_rule_warns(weigh: Weigh, red: RuleMeta) -> None:
    decision = weigh([replace(red, level=Level.ADVISORY)], found(FINDING))

    assert decision.verdict is Verdict.ALLOW
    assert decision.violations[0].effect is Effect.WARN
    assert decision.violations[0].blocks_from is None


def test_a_rule_not_yet_in_force_warns_and_says_when_it_blocks(weigh: Weigh, red: RuleMeta) -> None:
    later = replace(red, effective_on=NOW + timedelta(seconds=1))

    decision = weigh([later], found(FINDING))

    assert decision.violations[0].effect is Effect.WARN
    assert decision.violations[0].blocks_from == "2026-12-01T12:00:01Z"
    assert weigh([replace(red, effective_on=NOW)], found(FINDING)).verdict is Verdict.DENY


@pytest.mark.parametrize("raised_to", [Level.ADVISORY, Level.SOFT])
def test_a_project_can_not_lower_a_level(weigh: Weigh, red: RuleMeta, raised_to: Level) -> None:
    hard = replace(red, level=Level.HARD)

    decision = weigh([hard], found(FINDING), raised=Raised(levels={"colours.red": raised_to}))

    assert decision.verdict is Verdict.DENY
    assert decision.violations[0].level is Level.HARD


def test_a_project_can_raise_a_level(weigh: Weigh, red: RuleMeta) -> None:
    advisory = replace(red, level=Level.ADVISORY)

    decision = weigh([advisory], found(FINDING), raised=Raised(levels={"colours.red": Level.HARD}))

    assert decision.verdict is Verdict.DENY
    assert decision.violations[0].level is Level.HARD


@pytest.mark.parametrize(
    ("severity", "fail_on", "verdict"),
    [
        (Severity.LOW, Severity.LOW, Verdict.DENY),
        (Severity.LOW, Severity.INFO, Verdict.DENY),
        (Severity.LOW, Severity.MEDIUM, Verdict.ALLOW),
        (Severity.CRITICAL, Severity.LOW, Verdict.DENY),
    ],
)
def test_fail_on_denies_from_a_severity_on(
    weigh: Weigh, red: RuleMeta, severity: Severity, fail_on: Severity, verdict: Verdict
) -> None:
    advisory = replace(red, level=Level.ADVISORY, severity=severity)

    assert weigh([advisory], found(FINDING), raised=Raised(fail_on=fail_on)).verdict is verdict


def test_fail_on_lowers_nothing(weigh: Weigh, red: RuleMeta) -> None:
    assert weigh([red], found(FINDING), raised=Raised(fail_on=Severity.CRITICAL)).verdict is Verdict.DENY


def test_violations_are_sorted_by_place_then_rule(weigh: Weigh, policy_set: PolicySet) -> None:
    lines = {("things", 0): 9, ("things", 1): 3}

    def locate(at: JsonPath) -> Place:
        return Place(file="a.yml", line=lines[at], column=1, end_line=lines[at], end_column=2)  # type: ignore[index]

    finding = {"message": "the wall", "at": ["things", 1]}
    answers = {
        "policyd.colours.red.deny": Answer(value=[FINDING, finding]),
        "policyd.colours.blue.deny": Answer(value=[finding]),
    }

    decision = weigh(list(policy_set.catalogue.values()), answers, locate=locate)

    order = [(violation.place.line, violation.rule) for violation in decision.violations if violation.place]
    assert order == [(3, "colours.blue"), (3, "colours.red"), (9, "colours.red")]


def test_the_order_of_answers_changes_nothing(weigh: Weigh, red: RuleMeta) -> None:
    findings = [{"message": str(number), "at": ["things", number % 12]} for number in range(30)]

    assert weigh([red], found(*findings)) == weigh([red], found(*reversed(findings)))


@pytest.mark.parametrize(
    "at", [[], ["nothing"], ["things", 7], ["things", -1], ["things", "0"], ["things", 0, "name", 0]]
)
def test_a_part_that_is_not_there_has_no_digest(weigh: Weigh, red: RuleMeta, at: list[object]) -> None:
    decision = weigh([red], found({"message": "x", "at": at}))

    assert decision.verdict is Verdict.DENY
    assert decision.violations[0].part_sha256 is None


def test_a_part_that_has_no_canonical_form_has_no_digest(weigh: Weigh, red: RuleMeta) -> None:
    decision = weigh([red], found(FINDING), document={"things": [2**60]})

    assert decision.verdict is Verdict.DENY
    assert decision.violations[0].part_sha256 is None


def test_related_confidence_and_fix_are_kept(weigh: Weigh, red: RuleMeta) -> None:
    more = {"related": [{"message": "see", "at": ["things", 1]}], "confidence": "low", "fix": "paint it"}

    (violation,) = weigh([red], found({**FINDING, **more})).violations

    assert violation.related[0].message == "see"
    assert violation.confidence == "low"
    assert violation.fix == "paint it"


def test_confidence_comes_from_the_catalogue_where_the_rule_is_silent(weigh: Weigh, red: RuleMeta) -> None:
    assert weigh([replace(red, confidence="medium")], found(FINDING)).violations[0].confidence == "medium"


def test_a_very_long_message_is_cut(weigh: Weigh, red: RuleMeta) -> None:
    decision = weigh([red], found({"message": "x" * 1_000_000, "at": []}))

    assert len(decision.violations[0].message) == MAX_MESSAGE_CHARACTERS + 1


def test_what_was_weakened_is_in_the_decision(weigh: Weigh, red: RuleMeta) -> None:
    assert weigh([red], found(), weakened=["no sandbox"]).weakened == ("no sandbox",)
