from __future__ import annotations

import time

import pytest

from policyd.pipeline.gitlab.conditions import (
    ANYTHING,
    PRESENT,
    Symbol,
    Value,
    is_always_true,
    is_anchored,
    parse_condition,
    read_pattern,
    weigh,
)


def _weigh(text: str, **values: Value) -> bool | None:
    condition = parse_condition(text)
    assert condition is not None
    return weigh(condition, lambda name: values.get(name, ANYTHING))


@pytest.mark.parametrize(
    ("text", "values", "answer"),
    [
        ('$A == "x"', {"A": "x"}, True),
        ('$A == "x"', {"A": "y"}, False),
        ('$A == "x"', {"A": None}, False),
        ('$A == "x"', {"A": PRESENT}, None),
        ('$A == "x"', {}, None),
        ('"x" == $A', {"A": "x"}, True),
        ('$A != "x"', {"A": None}, True),
        ("$A == null", {"A": None}, True),
        ("$A == null", {"A": PRESENT}, False),
        ('$A == ""', {"A": PRESENT}, False),
        ("$A", {"A": None}, False),
        ("$A", {"A": ""}, False),
        ("$A", {"A": PRESENT}, True),
        ("$A", {}, None),
        ("!$A", {"A": None}, True),
        ("$A == $A", {}, True),
        ("$A != $A", {}, False),
        ("$A && $B", {"A": None}, False),
        ("$A && $B", {"A": "1"}, None),
        ("$A || $B", {"A": "1"}, True),
        ('$A == "1" || $B == "2" && $C == "3"', {"A": "1", "C": "4"}, True),
        ('($A == "1" || $B == "2") && $C == "3"', {"A": "1", "C": "4"}, False),
        ("$A =~ /^main$/", {"A": "main"}, True),
        ("$A =~ /^main$/", {"A": "domain"}, False),
        ("$A =~ /main/", {"A": "domain"}, True),
        ("$A =~ /^(a|b)$/", {"A": "b"}, True),
        ("$A =~ /^v1\\.0/", {"A": "v1.0.2"}, True),
        ("$A =~ /^v1\\.0/", {"A": "v1x0"}, False),
        ("$A =~ /MAIN/i", {"A": "main"}, True),
        ("$A =~ /v[0-9]+/", {"A": "v1"}, None),
        ("$A =~ /main/", {"A": None}, False),
        ("$A !~ /main/", {"A": None}, True),
        ("$A =~ /.*/", {"A": PRESENT}, True),
        ("$A =~ $B", {"A": "x"}, None),
        ("'$[[ inputs.x ]]' == $A", {"A": "x"}, False),
        ("$[[ inputs.x ]] == $A", {"A": "x"}, None),
    ],
)
def test_conditions_are_weighed(text: str, values: dict[str, Value], answer: bool | None) -> None:
    assert _weigh(text, **values) is answer


def test_a_symbol_is_only_itself() -> None:
    one, other = Symbol("one"), Symbol("other")

    assert _weigh("$A == $B", A=one, B=one) is True
    assert _weigh("$A == $B", A=one, B=other) is False
    assert _weigh('$A == "x"', A=one) is None
    assert _weigh('$A == "x"', A=Symbol("nobody", frozenset())) is False
    assert _weigh('$A == "main"', A=Symbol("feature", frozenset(("main",)))) is False
    assert _weigh('$A == "other"', A=Symbol("feature", frozenset(("main",)))) is None
    assert _weigh("$A =~ /^main$/", A=Symbol("feature", frozenset(("main",)))) is False
    assert _weigh("$A =~ /main/", A=Symbol("feature", frozenset(("main",)))) is None


@pytest.mark.parametrize(
    "text",
    [
        "$CI == $CI",
        "$CI || $X",
        '$X != "a" || $X != "b"',
        '$X == "a" || $X != "a"',
        "$X == $X",
        '"text"',
        '"a" == "a"',
        "true",
    ],
)
def test_conditions_that_always_hold_are_seen(text: str) -> None:
    condition = parse_condition(text)

    assert condition is not None
    assert is_always_true(condition)


@pytest.mark.parametrize(
    "text", ["$X", "$CI", '$X != "a" && $X != "b"', '$X != "a" || $Y != "b"', '$X != "a"', "$X =~ /.*/"]
)
def test_conditions_that_can_fail_are_not_called_always_true(text: str) -> None:
    condition = parse_condition(text)

    assert condition is not None
    assert not is_always_true(condition)


@pytest.mark.parametrize(
    "text", ["", "$", "$A ==", "== $A", "$A = 1", "($A", "$A)", "main", "$A && ", "$A $B", "/x/ ;"]
)
def test_what_is_no_condition_is_none(text: str) -> None:
    assert parse_condition(text) is None


def test_conditions_are_bounded() -> None:
    assert parse_condition("(" * 5000 + "$A" + ")" * 5000) is None
    assert parse_condition("!" * 150 + "$A") is None
    assert parse_condition("$A && " * 5000 + "$A") is None


def test_patterns_of_a_file_are_never_run() -> None:
    start = time.process_time()

    assert _weigh("$A =~ /^(a+)+$/", A="a" * 50 + "b") is None

    assert time.process_time() - start < 1
    assert read_pattern("/(a|b)*/") is None


@pytest.mark.parametrize(
    ("pattern", "anchored"),
    [
        ("/main/", False),
        ("/^main/", True),
        ("/main$/", True),
        ("/^a|b$/", True),
        ("/^a|b/", False),
        ("/(^a$|^b$)/", True),
    ],
)
def test_anchors_count_for_each_choice(pattern: str, anchored: bool) -> None:
    assert is_anchored(pattern) is anchored
