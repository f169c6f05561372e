"""A setting says what it may hold and which way is tighter; anything else is refused where it is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from policyd.errors import PolicyError
from policyd.policy.policy_set import read_policy_set
from policyd.policy.rule_settings import MAX_INTEGER, MisfitError, RuleSetting, SettingType, Tighter

Rule = Callable[..., bytes]


def setting(kind: SettingType, tighter: Tighter = Tighter.NONE, *, choices: tuple[str, ...] = ()) -> RuleSetting:
    return RuleSetting("limit", kind, (), tighter, "A limit.", choices)


def declare(rule: Rule, text: str) -> tuple[RuleSetting, ...]:
    """Return the settings of a rule whose METADATA has these lines below `settings`."""
    lines = "".join(f"#     {line}\n" for line in text.strip("\n").split("\n"))
    files = {"red.rego": rule("red", more=f"#   settings:\n{lines}")}
    return read_policy_set(files, "x").catalogue["colours.red"].settings


FULL = """
limit:
  type: integer
  default: 5
  tighter: lower
  description: How many.
"""


def test_a_declaration_is_read_whole(rule: Rule) -> None:
    (found,) = declare(rule, FULL)

    assert found == RuleSetting("limit", SettingType.INTEGER, 5, Tighter.LOWER, "How many.")


def test_every_type_has_its_defaults(rule: Rule) -> None:
    found = declare(
        rule,
        """
flag: {type: boolean, default: true, tighter: "true", description: d}
names: {type: strings, default: [b, a, b], tighter: subset, description: d, choices: [a, b, c]}
word: {type: string, default: x, tighter: none, description: d}
""",
    )

    assert [(one.name, one.default) for one in found] == [("flag", True), ("names", ("a", "b")), ("word", "x")]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("type: integer", "type: number", "type of the setting 'limit' is 'number'"),
        ("default: 5", "default: many", "does not fit"),
        ("default: 5", 'default: "-1"', "does not fit"),
        ("default: 5", "default: [5]", "does not fit"),
        ("tighter: lower", "tighter: subset", "tighter of the setting 'limit' is 'subset'"),
        ("tighter: lower", "tigther: lower", "lacks a field or has an unknown one"),
        ("description: How many.", "description: ''", "no description"),
        ("limit:", "Limit:", "can't be the name"),
        ("default: 5", "default: 5\n  choices: [a]", "is no text and has choices"),
    ],
)
def test_a_declaration_that_does_not_fit_is_refused(rule: Rule, old: str, new: str, said: str) -> None:
    with pytest.raises(PolicyError) as refused:
        declare(rule, FULL.replace(old, new))

    assert said in refused.value.cause
    assert refused.value.where == "red.rego"


@pytest.mark.parametrize("text", ["limit", "- limit", "{}"])
def test_settings_that_are_no_mapping_are_refused(rule: Rule, text: str) -> None:
    with pytest.raises(PolicyError, match="settings"):
        declare(rule, text)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (SettingType.INTEGER, [0, 7, MAX_INTEGER], [-1, True, 1.0, "1", None, MAX_INTEGER + 1, []]),
        (SettingType.BOOLEAN, [True, False], [0, 1, "true", None]),
        (SettingType.STRING, ["a", "é"], ["", 1, None, "a\nb", "x" * 501, ["a"]]),
        (SettingType.STRINGS, [[], ["a"]], ["a", [1], [""], [["a"]], None, {}, ["a"] * 1001]),
    ],
)
def test_a_value_fits_its_type_or_is_refused(kind: SettingType, good: list[Any], bad: list[Any]) -> None:
    declared = setting(kind)

    for value in good:
        declared.read(value)
    for value in bad:
        with pytest.raises(MisfitError):
            declared.read(value)


def test_of_choices_nothing_else_fits() -> None:
    declared = setting(SettingType.STRINGS, choices=("error", "warning"))

    assert declared.read(["warning", "error", "error"]) == ("error", "warning")
    with pytest.raises(MisfitError, match="not one of error, warning"):
        declared.read(["eror"])


@pytest.mark.parametrize(
    ("tighter", "bound", "allowed", "refused"),
    [
        (Tighter.LOWER, 5, [5, 4, 0], [6]),
        (Tighter.HIGHER, 5, [5, 6], [4]),
        (Tighter.TRUE, True, [True], [False]),
        (Tighter.TRUE, False, [True, False], []),
        (Tighter.FALSE, False, [False], [True]),
        (Tighter.SUBSET, ("a", "b"), [("a", "b"), ("a",), ()], [("c",), ("a", "b", "c")]),
        (Tighter.SUPERSET, ("a",), [("a",), ("a", "b")], [(), ("b",)]),
        (Tighter.NONE, "x", ["x"], ["y"]),
    ],
)
def test_only_the_tighter_direction_is_as_tight(tighter: Tighter, bound: Any, allowed: Any, refused: Any) -> None:
    declared = setting(SettingType.INTEGER, tighter)

    assert [declared.is_as_tight(value, bound) for value in allowed] == [True] * len(allowed)
    assert [declared.is_as_tight(value, bound) for value in refused] == [False] * len(refused)


@pytest.mark.parametrize(
    ("tighter", "one", "other", "expected"),
    [
        (Tighter.LOWER, 5, 3, 3),
        (Tighter.HIGHER, 5, 3, 5),
        (Tighter.TRUE, False, True, True),
        (Tighter.SUBSET, ("a", "b"), ("b", "c"), ("b",)),
        (Tighter.SUPERSET, ("a",), ("b",), ("a", "b")),
    ],
)
def test_the_tightest_of_two_allows_what_both_allow(tighter: Tighter, one: Any, other: Any, expected: Any) -> None:
    declared = setting(SettingType.INTEGER, tighter)

    assert declared.tightest(one, other) == declared.tightest(other, one) == expected
