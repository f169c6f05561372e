from __future__ import annotations

import json

import pytest

from policyd.errors import PolicyError
from policyd.models.decision import Effect, Level, Place, Severity, Violation
from policyd.policy.table_tests import Expected, find_difference, read_table, require_file

HEAD = "policyd: rule-tests/v1\ncases:\n"


def violation(line: int, message: str = "m", rule: str = "a.b") -> Violation:
    return Violation(
        rule=rule,
        message=message,
        at=("commands", line),
        place=Place(file="f", line=line, column=3, end_line=line, end_column=5),
        effect=Effect.DENY,
        level=Level.SOFT,
        severity=Severity.HIGH,
    )


def expected(**fields: object) -> Expected:
    return Expected.model_validate_json(json.dumps(fields))


@pytest.mark.parametrize(
    "fields", [{}, {"place": "4"}, {"place": "4:3"}, {"at": ["commands", 4]}, {"rule": "a.b", "message": "m"}]
)
def test_what_fits_in_all_that_is_said_fits(fields: dict[str, object]) -> None:
    assert find_difference("a.b", [expected(**fields)], [violation(4)]) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"place": "5"},
        {"place": "4:4"},
        {"at": ["commands", 5]},
        {"at": ["commands"]},
        {"rule": "a.c"},
        {"message": "n"},
    ],
)
def test_anything_that_differs_is_said_from_both_sides(fields: dict[str, object]) -> None:
    difference = find_difference("a.b", [expected(**fields)], [violation(4)])

    assert difference is not None
    assert len(difference.missing) == len(difference.unexpected) == 1


def test_nothing_expected_means_that_nothing_is_found() -> None:
    assert find_difference("a.b", [], []) is None
    assert find_difference("a.b", [], [violation(4)]) is not None
    assert find_difference("a.b", [expected()], []) is not None


def test_each_violation_answers_one_expectation() -> None:
    assert find_difference("a.b", [expected(place="4")], [violation(4), violation(4)]) is not None
    assert find_difference("a.b", [expected(place="4"), expected(place="4")], [violation(4)]) is not None
    assert find_difference("a.b", [expected(place="4"), expected(place="4")], [violation(4), violation(4)]) is None


def test_a_vague_expectation_leaves_what_an_exact_one_needs() -> None:
    found = [violation(4), violation(5)]

    assert find_difference("a.b", [expected(), expected(place="4:3", message="m")], found) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cases: []", "policyd"),
        ("policyd: rule-tests/v1\ncases: []", "cases"),
        (f"{HEAD}  - {{name: x, expect: []}}", "exactly one"),
        (f"{HEAD}  - {{name: x, input: {{}}, pipeline: a, expect: []}}", "exactly one"),
        (f"{HEAD}  - {{name: x, input: {{}}}}", "expect"),
        (f"{HEAD}  - {{name: x, input: {{}}, expected: []}}", "expect"),
        (f"{HEAD}  - {{name: x, input: {{}}, expect: [{{place: 4:3:2}}]}}", "place"),
        ("a: [", "t_test.yaml"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(text: str, words: str) -> None:
    """A misspelled `expect` would else be a case that passes whatever is found."""
    with pytest.raises(PolicyError) as refused:
        read_table("t_test.yaml", text.encode())

    assert words in f"{refused.value.cause} {refused.value.where}"


def test_a_file_is_found_below_the_rules_folder_only() -> None:
    files = {"a/b/examples/bad.yml": b"x", "a/c/c.yml": b"y"}

    assert require_file("a/b/b_test.yaml", "examples/bad.yml", files) == b"x"
    for name in ("../c/c.yml", "/etc/passwd", "bad.yml"):
        with pytest.raises(PolicyError, match="not there"):
            require_file("a/b/b_test.yaml", name, files)
