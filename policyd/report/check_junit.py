"""What a check found as JUnit XML: a suite for each pipeline, a case for each rule asked of it.

What is waived, known or ignored is skipped, never passed; what could not be judged is an error, never a failure.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from policyd.models.decision import Effect, Verdict, Violation
from policyd.report.findings import Findings, Judged, Unreadable, doubt_words
from policyd.report.junit import attribute, content

_FAILURE, _ERROR, _SKIPPED = "failure", "error", "skipped"


@dataclass(frozen=True, slots=True)
class _Case:
    name: str
    outcome: str = ""
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def render_check_junit(findings: Findings) -> str:
    """Return the answer of `policyd check` as JUnit XML."""
    suites = [(judged.path, _cases(judged)) for judged in findings.judged]
    suites += [(unreadable.path, [_unreadable_case(unreadable)]) for unreadable in findings.unreadable]
    if not suites:
        suites = [("policyd", [_Case("policyd check", _ERROR, ("no pipeline was found: nothing was judged",))])]
    cases = [case for _, found in suites for case in found]
    lines = ['<?xml version="1.0" encoding="utf-8"?>', f'<testsuites name="policyd check" {_counts(cases)}>']
    for path, found in suites:
        lines.append(f"  <testsuite name={attribute(path)} {_counts(found)}>")
        for case in found:
            lines += _case_lines(case, path)
        lines.append("  </testsuite>")
    return "\n".join([*lines, "</testsuites>"]) + "\n"


def _cases(judged: Judged) -> list[_Case]:
    standing: dict[str, list[str]] = defaultdict(list)
    lifted: dict[str, list[str]] = defaultdict(list)
    warned: dict[str, list[str]] = defaultdict(list)
    for index, violation in enumerate(judged.decision.violations):
        if why := judged.lifted(index):
            lifted[violation.rule].append(f"{why}: {_said(violation, judged)}")
        elif violation.effect is Effect.DENY:
            standing[violation.rule].append(_said(violation, judged))
        else:
            warned[violation.rule].append(_said(violation, judged))
    for words in judged.decision.weakened:
        warned["policyd check"].append(f"weakened: {words}")
    doubts: dict[str, list[str]] = defaultdict(list)
    for problem in judged.decision.problems:
        doubts[problem.rule or "policyd check"].append(doubt_words(problem))
    if judged.decision.verdict is Verdict.NOT_EVALUATED:
        doubts["policyd check"].append("no rule applied to this file, so nothing in it was judged")
    cases = []
    for name in dict.fromkeys((*judged.decision.rules, *standing, *lifted, *warned, *doubts)):
        warnings = tuple(warned[name])
        if doubts[name]:
            cases.append(_Case(name, _ERROR, (*doubts[name], *standing[name]), warnings))
        elif standing[name]:
            cases.append(_Case(name, _FAILURE, tuple(standing[name]), warnings))
        elif lifted[name]:
            cases.append(_Case(name, _SKIPPED, tuple(lifted[name]), warnings))
        else:
            cases.append(_Case(name, warnings=warnings))
    return cases


def _said(violation: Violation, judged: Judged) -> str:
    place = violation.place
    where = judged.path if place is None else f"{place.file}:{place.line}:{place.column}"
    return f"{where}: {violation.message}"


def _unreadable_case(unreadable: Unreadable) -> _Case:
    return _Case("policyd check", _ERROR, (doubt_words(unreadable),))


def _case_lines(case: _Case, path: str) -> list[str]:
    opening = f"    <testcase classname={attribute(path)} name={attribute(case.name)} file={attribute(path)}"
    if not case.outcome and not case.warnings:
        return [f"{opening}/>"]
    lines = [f"{opening}>"]
    if case.outcome:
        said = "" if case.outcome == _SKIPPED else content(case.reasons)
        lines.append(f"      <{case.outcome} message={attribute('; '.join(case.reasons))}>{said}</{case.outcome}>")
    if case.warnings:
        lines.append(f"      <system-out>{content([f'warning: {text}' for text in case.warnings])}</system-out>")
    return [*lines, "    </testcase>"]


def _counts(cases: list[_Case]) -> str:
    def number(outcome: str) -> int:
        return sum(case.outcome == outcome for case in cases)

    return f'tests="{len(cases)}" failures="{number(_FAILURE)}" errors="{number(_ERROR)}" skipped="{number(_SKIPPED)}"'
