from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from policyd.models.base import JsonPath
from policyd.models.decision import (
    Decision,
    Effect,
    EngineRef,
    Gate,
    Level,
    Problem,
    Severity,
    Verdict,
    Violation,
)
from policyd.models.plan import PolicySetRef
from policyd.policy.changes import (
    Change,
    Judgements,
    Turn,
    Unjudged,
    compare_decisions,
    compare_sets,
    compare_violations,
    count_by_rule,
    find_differences,
)
from policyd.policy.policy_set import read_policy_set

SETTING = """#   settings:
#     most:
#       type: integer
#       default: {default}
#       tighter: {tighter}
#       description: How many are allowed.
"""


def broken(rule: str = "colours.red", at: JsonPath = ("things", 0), **more: Any) -> Violation:
    values = {"message": "door is red", "effect": Effect.DENY, "level": Level.SOFT, "severity": Severity.HIGH, **more}
    return Violation(rule=rule, at=at, **values)


def decided(verdict: Verdict, *violations: Violation, **more: Any) -> Decision:
    values = {
        "policy_set": PolicySetRef(name="house", sha256="a" * 64),
        "engine": EngineRef(name="regorus", version="1"),
        "input_sha256": "b" * 64,
        "rules": ("colours.red",),
        "governance": "operator",
        "decided_at": "2026-12-01T00:00:00.000000Z",
        **more,
    }
    return Decision(gate=Gate.PIPELINE, verdict=verdict, subject="pipeline.yaml", violations=violations, **values)


def test_two_decisions_that_say_the_same_are_no_change() -> None:
    old, new = (decided(Verdict.DENY, broken(), broken()) for _ in range(2))

    assert compare_decisions("x", old, new) is None


def test_one_copy_of_a_violation_more_is_one_that_came() -> None:
    come, gone, weighed = compare_violations([broken()], [broken(), broken()])

    assert (come, gone, weighed) == ((broken(),), (), ())


def test_violations_that_come_and_go_are_told_apart_by_rule_and_part() -> None:
    old = [broken(at=("things", 0)), broken("colours.blue")]
    new = [broken(at=("things", 1)), broken("colours.blue")]

    assert compare_violations(old, new) == ((broken(at=("things", 1)),), (broken(at=("things", 0)),), ())


def test_a_violation_that_weighs_otherwise_did_not_go() -> None:
    warned = broken(effect=Effect.WARN, level=Level.ADVISORY)

    assert compare_violations([broken()], [warned]) == ((), (), ((broken(), warned),))


@pytest.mark.parametrize(
    ("old", "new", "turn"),
    [
        (Verdict.DENY, Verdict.ALLOW, Turn.LOOSER),
        (Verdict.UNDECIDED, Verdict.ALLOW, Turn.LOOSER),
        (Verdict.NOT_EVALUATED, Verdict.ALLOW, Turn.LOOSER),
        (Verdict.ALLOW, Verdict.DENY, Turn.STRICTER),
        (Verdict.ALLOW, Verdict.NOT_EVALUATED, Turn.STRICTER),
        (Verdict.ALLOW, Verdict.UNDECIDED, Turn.UNDECIDED),
        (Verdict.UNDECIDED, Verdict.UNDECIDED, Turn.UNDECIDED),
        (Verdict.UNDECIDED, Verdict.DENY, Turn.SAME),
    ],
)
def test_which_way_a_decision_turns(old: Verdict, new: Verdict, turn: Turn) -> None:
    change = compare_decisions("x", decided(old), decided(new))

    assert change is not None
    assert change.turn is turn


def test_a_decision_that_stays_undecided_is_told_with_its_reason() -> None:
    problem = Problem(message="the rule failed", where="red.rego")
    old, new = decided(Verdict.UNDECIDED), decided(Verdict.UNDECIDED, problems=(problem,))

    change = compare_decisions("x", old, new)

    assert change is not None
    assert change.problems == (problem,)


def test_every_field_that_differs_is_named() -> None:
    old = decided(Verdict.ALLOW)
    new = decided(Verdict.ALLOW, engine=EngineRef(name="regorus", version="2"), stage="build")

    assert find_differences(old, new) == ("stage", "engine")
    assert find_differences(old, old) == ()


def test_judgements_keep_what_changed_and_count_the_rest() -> None:
    judgements = Judgements()
    undecided = Change("x", Gate.STAGE, "build", Verdict.ALLOW, Verdict.UNDECIDED)

    for answer in (None, undecided, Unjudged("y", "test", "gone", "store", "")):
        judgements.add(answer)

    assert (judgements.judged, judgements.undecided) == (2, 1)
    assert judgements.changes == [undecided]
    assert [one.name for one in judgements.unjudged] == ["y"]


def test_rules_are_counted_over_all_changes() -> None:
    changes = [
        Change("a", Gate.PIPELINE, "a", Verdict.ALLOW, Verdict.DENY, come=(broken(), broken("colours.blue"))),
        Change("b", Gate.PIPELINE, "b", Verdict.DENY, Verdict.ALLOW, gone=(broken(),), weighed=((broken(), broken()),)),
    ]

    assert count_by_rule(changes) == {"colours.blue": (1, 0, 0), "colours.red": (1, 1, 1)}


def test_sets_differ_by_rules_added_and_removed(files: Callable[..., dict[str, bytes]]) -> None:
    old = read_policy_set(files("red", "blue"), "old")
    new = read_policy_set(files("red", "green"), "new")

    changes = compare_sets(old, new)

    assert [rule.id for rule in changes.added] == ["colours.green"]
    assert [rule.id for rule in changes.removed] == ["colours.blue"]
    assert not changes.changed
    assert changes.any


def test_the_same_set_has_no_changes(files: Callable[..., dict[str, bytes]]) -> None:
    old, new = (read_policy_set(files("red"), name) for name in ("old", "new"))

    assert not compare_sets(old, new).any


def test_what_is_said_of_a_rule_is_compared_field_by_field(rule: Callable[..., bytes]) -> None:
    old = read_policy_set({"red.rego": rule("red")}, "old")
    dated = '#   effective_on: "2027-01-01T00:00:00Z"\n#   level: hard\n'
    new = read_policy_set({"red.rego": rule("red", severity="low", more=dated)}, "new")

    assert [(change.what, change.old, change.new) for change in compare_sets(old, new).changed] == [
        ("severity", "high", "low"),
        ("level", "soft", "hard"),
        ("in force from", None, "2027-01-01T00:00:00Z"),
    ]


def test_a_rule_that_sees_otherwise_is_a_change_and_so_are_its_words(rule: Callable[..., bytes]) -> None:
    text = rule("red")
    old = read_policy_set({"red.rego": text}, "old")

    sees = read_policy_set({"red.rego": text.replace(b'== "red"', b'== "RED"')}, "new")
    says = read_policy_set({"red.rego": text.replace(b"Paint it.", b"Paint it blue.")}, "new")

    assert [change.what for change in compare_sets(old, sees).changed] == ["its Rego"]
    assert [change.what for change in compare_sets(old, says).changed] == ["its words"]


def test_settings_collections_and_shared_modules_are_compared(rule: Callable[..., bytes]) -> None:
    def make(default: int, tighter: str, ids: str, helper: str) -> dict[str, bytes]:
        return {
            "red.rego": rule("red", more=SETTING.format(default=default, tighter=tighter)),
            "blue.rego": rule("blue"),
            "collections/baseline.json": ids.encode(),
            "lib/paint.rego": f"package policyd.lib.paint\n\nwet := {helper}\n".encode(),
        }

    old = read_policy_set(make(5, "lower", '["colours.red", "colours.blue"]', "1"), "old")
    new = read_policy_set(make(3, "lower", '["colours.red"]', "2"), "new")
    turned = read_policy_set(make(5, "higher", '["colours.red", "colours.blue"]', "1"), "new")

    changes = compare_sets(old, new)

    assert [(change.rule, change.what, change.old, change.new) for change in (*changes.changed, *changes.settings)] == [
        ("colours.blue", "collection baseline", "in", "out"),
        ("colours.red", "setting most", "5", "3"),
    ]
    assert changes.libraries == ("lib/paint.rego",)
    assert [(change.what, change.new) for change in compare_sets(old, turned).settings] == [
        ("what tightens the setting most", "higher")
    ]
