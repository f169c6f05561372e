"""OPA's own compliance cases, where its module is in the Go module cache: no answer of ours differs in silence."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

import pytest

from benchmarks.compliance import Outcome, find_cases, read_cases, run_cases


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    folder = find_cases()
    if folder is None:
        if os.environ.get("POLICYD_REQUIRE_REAL") == "1":
            pytest.fail("POLICYD_REQUIRE_REAL=1 and OPA's module is not in the Go module cache", pytrace=False)
        pytest.skip("OPA's module is not in the Go module cache: see tools/go-tools.sh")
    return list(run_cases(read_cases(folder)))


def test_no_case_is_answered_differently_in_silence(outcomes: list[Outcome]) -> None:
    assert [outcome for outcome in outcomes if outcome.end == "silent"] == []


def test_the_cases_were_really_asked(outcomes: list[Outcome]) -> None:
    """Whoever refuses everything never differs. `python -m benchmarks compliance` prints the reasons."""
    counts = Counter(outcome.end for outcome in outcomes)

    assert len(outcomes) > 2000
    assert counts["alike"] > 850
    assert counts["raised"] < 30


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "alike"),
        ({"want_result": [{"x": 2}]}, "silent"),
        ({"want_result": []}, "silent"),
        ({"want_result": None, "want_error": "divide by zero"}, "silent"),
        ({"modules": ["package test\n\np := http.send({})\n"]}, "refused"),
        ({"modules": ["package test\n\np := 1 / input.zero == 1\n"]}, "raised"),
        ({"modules": ["package test\n\np := 1 / input.zero == 1\n"], "want_error": "divide by zero"}, "alike"),
        ({"query": "data.test.q = x"}, "silent"),
        ({"query": "data.test.q = x", "want_result": []}, "alike"),
    ],
)
def test_each_end_is_told_from_the_others(change: dict[str, object], expected: str) -> None:
    case = {
        "note": "made",
        "query": "data.test.p = x",
        "modules": ["package test\n\np := input.one\n"],
        "input": {"one": 1, "zero": 0},
        "want_result": [{"x": 1}],
    }

    def made() -> Iterator[dict[str, object]]:
        yield {name: value for name, value in {**case, **change}.items() if value is not None}

    (outcome,) = run_cases(made())

    assert outcome.end == expected, outcome
