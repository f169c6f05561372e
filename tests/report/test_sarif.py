"""SARIF as code scanning systems read it.

`sarif-schema-2.1.0.json` is OASIS's own schema, unchanged. `sarif-subset.schema.json` says, after GitHub's "SARIF
support for code scanning", what policyd may write: closed, with what GitHub requires and the lengths it takes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator, Draft202012Validator

from policyd.models.decision import Decision, Effect, Problem, Related, Severity, Verdict, Violation
from policyd.report.findings import Findings, Judged, Rules, Unreadable
from policyd.report.sarif import FINGERPRINT, SCHEMA, render_sarif

MakeDecision = Callable[..., Decision]
SUBSET = Draft202012Validator(json.loads((Path(__file__).parent / "sarif-subset.schema.json").read_text()))
OFFICIAL_FILE = Path(__file__).parent / "sarif-schema-2.1.0.json"
OFFICIAL = Draft4Validator(json.loads(OFFICIAL_FILE.read_text()))
PATH = ".github/workflows/release.yml"
GOLDENS = Path(__file__).resolve().parent.parent / "goldens"


def log_of(findings: Findings, rules: Rules) -> dict[str, Any]:
    """Return the only run of the log, once it fits both schemas."""
    return run_of(render_sarif(findings, rules, version="0.1.0"))


def run_of(text: str) -> dict[str, Any]:
    log = json.loads(text)
    for schema in (OFFICIAL, SUBSET):
        assert [f"{list(error.path)}: {error.message}" for error in schema.iter_errors(log)] == []
    run: dict[str, Any] = log["runs"][0]
    return run


def of(decision: Decision, path: str = PATH) -> Findings:
    return Findings((Judged(path, decision, b""),))


@pytest.mark.parametrize("schema", [OFFICIAL, SUBSET], ids=["official", "subset"])
def test_the_schema_refuses_what_is_no_sarif(schema: Draft4Validator) -> None:
    assert not schema.is_valid({"version": "2.1.0", "runs": [{"results": "none"}]})


def test_the_official_schema_is_as_oasis_publishes_it() -> None:
    """Its terms allow copies, not changes; `sarif-schema-2.1.0.md` has them."""
    assert hashlib.sha256(OFFICIAL_FILE.read_bytes()).hexdigest() == (
        "c3b4bb2d6093897483348925aaa73af03b3e3f4bd4ca38cef26dcb4212a2682e"
    )
    schema = json.loads(OFFICIAL_FILE.read_text())
    assert schema["id"] == SCHEMA
    Draft4Validator.check_schema(schema)


def test_a_log(
    make_decision: MakeDecision, rules: Rules, golden: Callable[[str, str], None], injection: Violation,
    unpinned: Violation, timeout: Violation,
) -> None:  # fmt: skip
    waived = unpinned.model_copy(update={"effect": Effect.WAIVED, "waiver": "legacy-runner-2026"})
    related = Related(message="read here", place=injection.place)
    found = of(make_decision(violations=(injection.model_copy(update={"related": (related,)}), waived, timeout)))

    log_of(found, rules)
    golden("check.sarif", render_sarif(found, rules, version="0.1.0"))


@pytest.mark.parametrize("path", sorted(GOLDENS.glob("*.sarif")), ids=lambda path: path.name)
def test_a_golden_fits_both_schemas(path: Path) -> None:
    run_of(path.read_text())


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
    assert run["tool"]["driver"]["rules"][0]["help"]["text"]


def test_texts_of_rules_are_as_long_as_github_takes_them(
    make_decision: MakeDecision, rules: dict[str, Any], injection: Violation
) -> None:
    from dataclasses import replace

    rules[injection.rule] = replace(rules[injection.rule], title="t" * 2000, description="d" * 2000)

    (rule, *_) = log_of(of(make_decision(violations=(injection,), rules=(injection.rule,))), rules)["tool"]["driver"][
        "rules"
    ]

    assert rule["fullDescription"]["text"] == "d" * 1023 + "…"
    assert "d" * 2000 in rule["help"]["text"]


def test_a_result_without_a_place_has_a_whole_region(
    make_decision: MakeDecision, rules: Rules, injection: Violation
) -> None:
    run = log_of(of(make_decision(violations=(injection.model_copy(update={"place": None}),))), rules)

    region = run["results"][0]["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 2}
