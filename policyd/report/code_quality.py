"""What a check found as GitLab's code quality report, which merge requests show.

What is waived, known or ignored stays out: GitLab has no word for it. What could not be judged is an entry of its own.

Source: docs.gitlab.com, "Code Quality", "Code Quality report format".
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

from policyd.models.decision import Severity, Verdict, Violation
from policyd.report.findings import Findings, doubt_words
from policyd.report.json_text import render_json
from policyd.report.sarif import fingerprint
from policyd.report.text import show

_SEVERITIES = {
    Severity.CRITICAL: "blocker",
    Severity.HIGH: "critical",
    Severity.MEDIUM: "major",
    Severity.LOW: "minor",
    Severity.INFO: "info",
}
#: The names of what is no rule's word: a file or a rule that could not be judged, and settings that ask for less.
_UNDECIDED = "policyd.undecided"
_WEAKENED = "policyd.weakened"


def render_code_quality(findings: Findings) -> str:
    """Return the answer of `policyd check` as a JSON array."""
    seen: Counter[str] = Counter()
    entries: list[dict[str, Any]] = []
    for judged in findings.judged:
        for index, violation in enumerate(judged.decision.violations):
            known = fingerprint(violation, judged.path, seen)
            if not judged.lifted(index):
                entries.append(_violation(violation, judged.path, known))
        entries += [
            _doubt(f"{problem.rule or 'policyd'}: {doubt_words(problem)}", judged.path)
            for problem in judged.decision.problems
        ]
        if judged.decision.verdict is Verdict.NOT_EVALUATED:
            entries.append(_doubt("no rule applied to this file, so nothing in it was judged", judged.path))
        entries += [_said(f"weakened: {words}", _WEAKENED, "minor", judged.path) for words in judged.decision.weakened]
    entries += [_doubt(doubt_words(one), one.path) for one in findings.unreadable]
    if not findings.judged and not findings.unreadable:
        # An empty report would look like a clean one.
        entries.append(_doubt("no pipeline was found: nothing was judged", "."))
    return render_json(entries)


def _violation(violation: Violation, path: str, known: str) -> dict[str, Any]:
    place = violation.place
    return _entry(
        f"{violation.rule}: {violation.message}",
        violation.rule,
        hashlib.sha256(known.encode()).hexdigest(),
        _SEVERITIES[violation.severity],
        path if place is None else place.file,
        1 if place is None else place.line,
    )


def _doubt(text: str, path: str) -> dict[str, Any]:
    return _said(text, _UNDECIDED, "blocker", path)


def _said(text: str, name: str, severity: str, path: str) -> dict[str, Any]:
    known = hashlib.sha256(f"{path}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()
    return _entry(text, name, known, severity, path, 1)


def _entry(text: str, name: str, known: str, severity: str, path: str, line: int) -> dict[str, Any]:
    return {
        "description": show(text),
        "check_name": name,
        "fingerprint": known,
        "severity": severity,
        "location": {"path": show(path), "lines": {"begin": line}},
    }
