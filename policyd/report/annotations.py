"""What a check found as GitHub's workflow commands, which mark the lines of a pull request.

The one report that is made of commands: every value is escaped as the runner reads it, so that no text of others adds
one of its own.

Source: docs.github.com, "Workflow commands for GitHub Actions"; actions/toolkit, packages/core/src/command.ts.
"""

from __future__ import annotations

from policyd.models.decision import Effect, Place, Verdict, Violation
from policyd.report.findings import Findings, Judged, doubt_words
from policyd.report.text import show


def render_annotations(findings: Findings) -> str:
    """Return the answer of `policyd check` as a workflow command a line; empty where there is nothing to say."""
    lines = []
    for judged in findings.judged:
        lines += [
            _violation(violation, judged)
            for index, violation in enumerate(judged.decision.violations)
            if not judged.lifted(index)
        ]
        for problem in judged.decision.problems:
            title = f"undecided: {problem.rule or 'policyd check'}"
            lines.append(_command("error", title, doubt_words(problem), judged.path, None))
        if judged.decision.verdict is Verdict.NOT_EVALUATED:
            lines.append(_command("error", "not evaluated", "no rule applied to this file", judged.path, None))
        for words in judged.decision.weakened:
            lines.append(_command("warning", "weakened", words, judged.path, None))
    for one in findings.unreadable:
        lines.append(_command("error", "unreadable", doubt_words(one), one.path, None))
    if not findings.judged and not findings.unreadable:
        lines.append(_command("error", "not evaluated", "no pipeline was found: nothing was judged", "", None))
    return "".join(f"{line}\n" for line in lines)


def _violation(violation: Violation, judged: Judged) -> str:
    level = "error" if violation.effect is Effect.DENY else "warning"
    text = violation.message if violation.fix is None else f"{violation.message} To do: {violation.fix}"
    return _command(level, f"{violation.rule} ({violation.severity.value})", text, judged.path, violation.place)


def _command(level: str, title: str, text: str, path: str, place: Place | None) -> str:
    properties = {"title": show(title)}
    if path:
        properties["file"] = show(path if place is None else place.file)
    if place is not None:
        properties |= {"line": str(place.line), "endLine": str(place.end_line)}
        if place.line == place.end_line:  # GitHub takes columns for one line only
            properties |= {"col": str(place.column), "endColumn": str(place.end_column)}
    listed = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{level} {listed}::{_data(show(text))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
