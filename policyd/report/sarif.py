"""Decisions as SARIF 2.1.0, in the part of it that code scanning systems read.

A waived violation, or one that a baseline knows, is a suppressed result; a problem is a tool notification, and
`executionSuccessful` is true for `allow` and `deny` alone: a log of a check that could not judge everything must not
look like a clean one.

Source: OASIS SARIF 2.1.0 plus errata 01; GitHub, "SARIF support for code scanning".
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any
from urllib.parse import quote

from policyd.models.decision import Effect, Place, Severity, Verdict, Violation
from policyd.report.findings import Findings, Judged, Rules, doubt_words
from policyd.report.json_text import render_json
from policyd.report.text import show
from policyd.report.waiver_text import waiver_words

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
#: Key of our fingerprint. GitHub's own, `primaryLocationLineHash`, is left to its upload action, which computes it
#: from the checkout and warns of any other value.
FINGERPRINT = "policydViolation/v1"
#: GitHub reads `security-severity` like a CVSS score: above 9.0 critical, from 7.0 high, from 4.0 medium, above 0 low.
_SECURITY_SEVERITY = {Severity.CRITICAL: "9.5", Severity.HIGH: "8.0", Severity.MEDIUM: "5.5", Severity.LOW: "2.0"}
_RULE_LEVELS = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
    Severity.INFO: "note",
}
#: What the paths of results are relative to. Where it lies is the reader's business, so it has no URI.
_ROOT = "%SRCROOT%"
#: GitHub refuses a rule with more tags, and takes no longer texts of it.
_MAX_TAGS = 20
_MAX_NAME = 255
_MAX_DESCRIPTION = 1024


def render_sarif(findings: Findings, rules: Rules, *, version: str) -> str:
    """Return the answer of `policyd check` as a SARIF log with one run. `version` is policyd's."""
    asked = sorted({rule for judged in findings.judged for rule in judged.decision.rules}
                   | {violation.rule for violation in findings.violations()})  # fmt: skip
    index = {rule: number for number, rule in enumerate(asked)}
    seen: Counter[str] = Counter()
    results = [
        _result(
            violation,
            judged,
            index[violation.rule],
            seen,
            known=number in judged.known,
            ignored=judged.ignored.get(number),
        )
        for judged in findings.judged
        for number, violation in enumerate(judged.decision.violations)
    ]
    run = {
        "tool": {
            "driver": {
                "name": "policyd",
                "version": version,
                "semanticVersion": version,
                "rules": [_rule(id_, rules) for id_ in asked],
            }
        },
        "automationDetails": {"id": "policyd/check/"},
        "originalUriBaseIds": {_ROOT: {"description": {"text": "the folder that policyd was started in"}}},
        "invocations": [_invocation(findings, index)],
        "columnKind": "unicodeCodePoints",
        "results": results,
        "properties": {
            "verdict": findings.verdict.value,
            "policySets": sorted(
                {judged.decision.policy_set.sha256 for judged in findings.judged}
                | {layer.sha256 for judged in findings.judged for layer in judged.decision.layers}
            ),
        },
    }
    return render_json({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(id_: str, rules: Rules) -> dict[str, Any]:
    rule = rules.get(id_)
    if rule is None:
        unknown = {"text": f"{id_}: nothing is known of this rule"}
        return {"id": id_, "shortDescription": {"text": id_}, "fullDescription": unknown, "help": unknown}
    properties: dict[str, Any] = {
        "tags": ["security", *rule.controls][:_MAX_TAGS],
        "precision": rule.confidence,
    }
    if rule.severity in _SECURITY_SEVERITY:
        properties["security-severity"] = _SECURITY_SEVERITY[rule.severity]
    return {
        "id": id_,
        "name": "".join(part.capitalize() for part in id_.replace(".", "_").split("_"))[:_MAX_NAME],
        "shortDescription": {"text": _cut(rule.title)},
        "fullDescription": {"text": _cut(rule.description or rule.title)},
        "help": {
            "text": _plain(f"{rule.description} To do: {rule.remediation}".strip()),
            "markdown": f"{_plain(rule.description)}\n\n**To do:** {_plain(rule.remediation)}\n",
        },
        "defaultConfiguration": {"level": _RULE_LEVELS[rule.severity]},
        "properties": properties,
    }


def _result(
    violation: Violation, judged: Judged, rule_index: int, seen: Counter[str], *, known: bool, ignored: str | None
) -> dict[str, Any]:
    message = violation.message if violation.fix is None else f"{violation.message} To do: {violation.fix}"
    result: dict[str, Any] = {
        "ruleId": violation.rule,
        "ruleIndex": rule_index,
        "kind": "fail",
        "level": _level(violation),
        "message": {"text": _plain(message)},
        "locations": [_location(violation.place, judged.path)],
        "partialFingerprints": {FINGERPRINT: fingerprint(violation, judged.path, seen)},
        "properties": {
            "effect": violation.effect.value,
            "severity": violation.severity.value,
            "confidence": violation.confidence,
        },
    }
    if violation.related:
        result["relatedLocations"] = [
            {"id": number, **_location(related.place, judged.path), "message": {"text": _plain(related.message)}}
            for number, related in enumerate(violation.related, start=1)
        ]
    # A waived violation without the waiver's name is not suppressed: nobody can say who permitted it.
    if violation.effect is Effect.WAIVED and violation.waiver:
        result["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": _waiver(violation, judged)}
        ]
    elif known:
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": "known: in the baseline"}]
    elif ignored is not None:
        result["suppressions"] = [{"kind": "inSource", "status": "accepted", "justification": _plain(ignored)}]
    return result


def _waiver(violation: Violation, judged: Judged) -> str:
    return f"waiver {_plain(waiver_words(violation, judged.decision))}"


def _level(violation: Violation) -> str:
    match violation.effect:
        case Effect.DENY | Effect.WAIVED:
            return "error"
        case Effect.WARN:
            return "note" if violation.severity in (Severity.LOW, Severity.INFO) else "warning"


def _location(place: Place | None, path: str) -> dict[str, Any]:
    if place is None:
        # GitHub shows no result without a region that is whole.
        region = {"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 2}
        return {"physicalLocation": {"artifactLocation": _artifact(path), "region": region}}
    region = {
        "startLine": place.line,
        "startColumn": place.column,
        "endLine": place.end_line,
        "endColumn": place.end_column,
    }
    return {"physicalLocation": {"artifactLocation": _artifact(place.file), "region": region}}


def _artifact(path: str) -> dict[str, str]:
    # Percent-encoded but for '/': a file called `javascript:x` stays a file. Names may hold bytes that are not UTF-8.
    uri = quote(path.encode("utf-8", "surrogateescape"), safe="/")
    return {"uri": uri} if path.startswith("/") else {"uri": uri, "uriBaseId": _ROOT}


def fingerprint(violation: Violation, path: str, seen: Counter[str]) -> str:
    """Return what stays when lines move: rule, file, digest of the offending part, and which of equal ones it is."""
    part = violation.part_sha256 or violation.message
    digest = hashlib.sha256("\0".join((violation.rule, path, part)).encode("utf-8", "surrogatepass")).hexdigest()
    seen[digest] += 1
    return f"{digest}:{seen[digest]}"


def _invocation(findings: Findings, index: dict[str, int]) -> dict[str, Any]:
    notifications = [_notification(doubt_words(unreadable), unreadable.path) for unreadable in findings.unreadable]
    for judged in findings.judged:
        for problem in judged.decision.problems:
            notification = _notification(doubt_words(problem), judged.path)
            if problem.rule in index:
                notification["associatedRule"] = {"id": problem.rule, "index": index[problem.rule]}
            notifications.append(notification)
        if judged.decision.verdict is Verdict.NOT_EVALUATED:
            notifications.append(_notification("no rule applied to this file: nothing in it was judged", judged.path))
        notifications += [
            _notification(f"weakened: {words}", judged.path, "warning") for words in judged.decision.weakened
        ]
    if not findings.judged and not findings.unreadable:
        notifications.append({"level": "error", "message": {"text": "no pipeline was found: nothing was judged"}})
    invocation: dict[str, Any] = {"executionSuccessful": findings.verdict in (Verdict.ALLOW, Verdict.DENY)}
    if notifications:
        invocation["toolExecutionNotifications"] = notifications
    return invocation


def _notification(text: str, path: str, level: str = "error") -> dict[str, Any]:
    location = {"physicalLocation": {"artifactLocation": _artifact(path)}}
    return {"level": level, "message": {"text": _plain(text)}, "locations": [location]}


def _cut(text: str) -> str:
    plain = _plain(text)
    return plain if len(plain) <= _MAX_DESCRIPTION else f"{plain[: _MAX_DESCRIPTION - 1]}…"


def _plain(text: str) -> str:
    """Return foreign text for a message. Plain SARIF messages may hold links, `[text](target)`: taken apart here."""
    return show(text).replace("](", "] (")
