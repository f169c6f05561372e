from __future__ import annotations

from collections.abc import Callable

import pytest

from policyd.policy.checking import find_set_problems

Files = Callable[..., dict[str, bytes]]
TEST = b"package policyd.colours.%s_test\n\ntest_a_is_fine if true\n"


def with_tests(files: Files, *names: str) -> dict[str, bytes]:
    tests = {f"colours/{name}/{name}_test.rego": TEST % name.encode() for name in names}
    return {**files(*names), **tests}


def test_a_good_set_has_no_problems(files: Files) -> None:
    problems, policy_set = find_set_problems(with_tests(files, "red", "blue"), "s")

    assert problems == []
    assert policy_set is not None
    assert len(policy_set.catalogue) == 2


@pytest.mark.parametrize(
    ("named", "is_there"),
    [
        (b"data.policyd.settings.colours.red.hue", False),
        (b"data.policyd.elsewhere.thing", False),
        (b"data.elsewhere", False),
        (b"data.policyd.colours.blue.deny", True),
        (b"data.policyd.settings", True),
    ],
)
def test_what_leads_nowhere_below_data_is_a_problem(files: Files, named: bytes, is_there: bool) -> None:
    given = with_tests(files, "red", "blue")
    given["colours/red/red.rego"] += b"\n_other := " + named + b"\n"

    problems, _ = find_set_problems(given, "s")

    assert [problem.where for problem in problems] == ([] if is_there else ["colours/red/red.rego"])


def test_each_broken_file_is_named_once_and_the_rest_is_read(files: Files) -> None:
    given = with_tests(files, "red", "blue", "green")
    given["colours/red/red.rego"] = b"package policyd.colours.red\n"
    given["colours/blue/blue.rego"] = given["colours/blue/blue.rego"].replace(b"severity: high", b"severity: bad")
    given["stray.json"] = b"{}"
    given["collections/baseline.json"] = b'["colours.red", "colours.green"]'

    problems, policy_set = find_set_problems(given, "s")

    assert sorted(problem.where for problem in problems) == [
        "colours/blue/blue.rego",
        "colours/red/red.rego",
        "stray.json",
    ]
    assert policy_set is not None
    assert list(policy_set.catalogue) == ["colours.green"]


def test_a_rule_without_test_is_a_problem(files: Files) -> None:
    [problem], _ = find_set_problems(files("red"), "s")

    assert (problem.where, problem.cause) == ("colours/red/red.rego", "the rule has no test")


@pytest.mark.parametrize("table", [b"", b"policyd: rule-tests/v1"])
def test_a_table_is_a_test(files: Files, table: bytes) -> None:
    assert find_set_problems({**files("red"), "colours/red/red_test.yaml": table}, "s")[0] == []


def test_a_test_file_without_tests_is_a_problem(files: Files) -> None:
    given = {**files("red"), "colours/red/red_test.rego": b"package policyd.colours.red_test\n\nx := 1\n"}

    [problem], _ = find_set_problems(given, "s")

    assert problem.cause == "the test file holds no test"


def test_two_rules_of_one_id_are_named_together(files: Files) -> None:
    given = {**with_tests(files, "red"), "other/red.rego": files("red")["colours/red/red.rego"]}

    problems, _ = find_set_problems(given, "s")

    assert "two rules have the id" in problems[0].cause
    assert problems[0].where == "colours/red/red.rego and other/red.rego"


def test_a_set_without_rules_is_a_problem() -> None:
    [problem], policy_set = find_set_problems({"README.md": b""}, "s")

    assert "no rules" in problem.cause
    assert policy_set is None


def test_a_field_that_the_gate_does_not_give_is_a_problem(files: Files) -> None:
    given = with_tests(files, "red")
    given["colours/red/red.rego"] += b"\n_other := input.comands\n"

    problems, _ = find_set_problems(given, "s")

    assert [(problem.where, problem.fix) for problem in problems] == [
        ("colours/red/red.rego", "did you mean input.commands?")
    ]
