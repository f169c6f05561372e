"""SARIF as code scanning systems read it.

`sarif-subset.schema.json` says in JSON Schema, after OASIS SARIF 2.1.0 errata 01 and GitHub's "SARIF support for
code scanning", what policyd may write: closed, so a misspelt property is found.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from policyd.models.decision import Decision, Effect, Problem, Related, Severity, Verdict, Violation
from policyd.report.findings import Findings, Judged, Rules, Unreadable
from policyd.report.sarif import FINGERPRINT, render_sarif

MakeDecision = Callable[..., Decision]
SCHEMA = json.loads((Path(__file__).parent / "sarif-subset.schema.json").read_text())
PATH = ".github/workflows/release.yml"


def log_of(findings: Findings, rules: Rules) -> dict[str, Any]:
    """Return the only run of the log, once it fits the schema."""
    log = json.loads(render_sarif(findings, rules, version="0.1.0"))
    errors = [f"{list(error.path)}: {error.message}" for error in Draft202012Validator(SCHEMA).iter_errors(log)]
    assert errors == []
    run: dict[str, Any] = log["runs"][0]
    return run


def of(decision: Decision, path: str = PATH) -> Findings:
    return Findings((Judged(path, decision, b""),))


def test_the_schema_refuses_what_is_no_sarif() -> None:
    assert list(Draft202012Validator(SCHEMA).iter_errors({"version": "2.1.0", "runs": [{"results": "none"}]}))


def test_a_log(
    make_decision: MakeDecision, rules: Rules, golden: Callable[[str, str], None], injection: Violation,
    unpinned: Violation, timeout: Violation,
) -> None:  # fmt: skip
    waived = unpinned.model_copy(update={"effect": Effect.WAIVED, "waiver": "legacy-runner-2026"})
    related = Related(message="read here", place=injection.place)
    found = of(make_decision(violations=(injection.model_copy(update={"related": (related,)}), waived, timeout)))

    log_of(found, rules)
    golden("check.sarif", render_sarif(found, rules, version="0.1.0"))


def test_results_point_at_their_rule(
    make_decision: MakeDecision, rules: Rules, injection: Violation, unpinned: Violation
) -> None:
    run = log_of(of(make_decision(violations=(unpinned, injection))), rules)

    listed = run["tool"]["driver"]["rules"]
    assert [listed[result["ruleIndex"]]["id"] for result in run["results"]] == [unpinned.rule, injection.rule]


@pytest.mark.parametrize(
    ("severity", "shown"),
    [
        (Severity.CRITICAL, lambda score: score > 9),
        (Severity.HIGH, lambda score: 7 <= score <= 8.9),
        (Severity.MEDIUM, lambda score: 4 <= score <= 6.9),
        (Severity.LOW, lambda score: 0 < score <= 3.9),
    ],
)
def test_severities_fall_into_the_bands_of_code_scanning(
    make_decision: MakeDecision, rules: dict[str, Any], severity: Severity, shown: Callable[[float], bool]
) -> None:
    from dataclasses import replace

    rules["hygiene.timeout"] = replace(rules["hygiene.timeout"], severity=severity)

    listed = log_of(of(make_decision(Verdict.ALLOW)), rules)["tool"]["driver"]["rules"]

    rule = next(rule for rule in listed if rule["id"] == "hygiene.timeout")
    assert shown(float(rule["properties"]["security-severity"]))


def test_only_a_named_waiver_suppresses(make_decision: MakeDecision, rules: Rules, unpinned: Violation) -> None:
    named = unpinned.model_copy(update={"effect": Effect.WAIVED, "waiver": "w-1"})
    nameless = unpinned.model_copy(update={"effect": Effect.WAIVED})

    first, second = log_of(of(make_decision(violations=(named, nameless))), rules)["results"]

    assert first["suppressions"][0]["status"] == "accepted"
    assert "suppressions" not in second


def test_fingerprints_survive_moved_lines_and_tell_equal_parts_apart(
    make_decision: MakeDecision, rules: Rules, unpinned: Violation
) -> None:
    assert unpinned.place is not None
    moved = unpinned.model_copy(update={"place": unpinned.place.model_copy(update={"line": 70, "end_line": 70})})

    def fingerprints(*violations: Violation, path: str = PATH) -> list[str]:
        results = log_of(of(make_decision(violations=violations), path), rules)["results"]
        return [result["partialFingerprints"][FINGERPRINT] for result in results]

    assert fingerprints(unpinned) == fingerprints(moved)
    assert len(set(fingerprints(unpinned, moved))) == 2
    assert fingerprints(unpinned) != fingerprints(unpinned, path="other.yml")
    assert fingerprints(unpinned) != fingerprints(unpinned.model_copy(update={"part_sha256": "9" * 64}))


@pytest.mark.parametrize("verdict", [Verdict.UNDECIDED, Verdict.NOT_EVALUATED])
def test_what_was_not_judged_is_no_successful_execution(
    make_decision: MakeDecision, rules: Rules, verdict: Verdict
) -> None:
    problem = Problem(rule="hygiene.timeout", message="took too long", where="rule process", fix="ask again")
    problems = (problem,) if verdict is Verdict.UNDECIDED else ()

    (invocation,) = log_of(of(make_decision(verdict, problems=problems)), rules)["invocations"]

    assert invocation["executionSuccessful"] is False
    assert invocation["toolExecutionNotifications"][0]["level"] == "error"


def test_an_unreadable_file_is_a_notification_and_no_success(make_decision: MakeDecision, rules: Rules) -> None:
    file = Unreadable("odd name.yml", "the key 'on' stands twice", "odd name.yml:4:1", "remove one")

    run = log_of(Findings((Judged(PATH, make_decision(Verdict.ALLOW)),), (file,)), rules)

    (notification,) = run["invocations"][0]["toolExecutionNotifications"]
    assert run["invocations"][0]["executionSuccessful"] is False
    assert notification["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "odd%20name.yml"


def test_nothing_found_is_no_success(rules: Rules) -> None:
    run = log_of(Findings(()), rules)

    assert run["invocations"][0]["executionSuccessful"] is False
    assert run["results"] == []


def test_a_refusal_is_a_successful_execution_of_the_tool(
    make_decision: MakeDecision, rules: Rules, injection: Violation
) -> None:
    run = log_of(of(make_decision(violations=(injection,))), rules)

    assert run["invocations"] == [{"executionSuccessful": True}]
    assert run["properties"]["verdict"] == "deny"


def test_hostile_names_stay_names(make_decision: MakeDecision, rules: Rules, injection: Violation) -> None:
    evil = "javascript:alert(1)\x1b\u202e[click](https://evil.example)\udc80.yml"
    violation = injection.model_copy(update={"message": evil, "place": None})

    run = log_of(of(make_decision(violations=(violation,)), evil), rules)

    (result,) = run["results"]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri.startswith("javascript%3Aalert")
    assert uri.isascii()
    assert "](" not in result["message"]["text"]
    assert "\x1b" not in result["message"]["text"]


def test_a_rule_the_catalogue_does_not_know_is_still_reported(
    make_decision: MakeDecision, injection: Violation
) -> None:
    run = log_of(of(make_decision(violations=(injection,), rules=())), {})

    assert run["tool"]["driver"]["rules"][run["results"][0]["ruleIndex"]]["id"] == injection.rule
