"""What a policy author reads: how tests went, what is wrong with a set, and what a rule is for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Protocol

from policyd.models.decision import Decision, Effect, Gate, Level
from policyd.report.decision_text import render_decision
from policyd.report.findings import Judged, RuleText
from policyd.report.junit import TestText
from policyd.report.layout import DEFAULT_WIDTH, Style, count, plain, wrap
from policyd.report.text import show
from policyd.report.waiver_text import request_words

_INDENT = "  "
_MAX_LINES_SHOWN = 12  # ranges of lines not reached, a file


class CoverageText(Protocol):
    """What a report says of the lines of one file."""

    @property
    def path(self) -> str:
        """The file."""

    @property
    def missed(self) -> Sequence[int]:
        """Lines that no test reached."""

    @property
    def percent(self) -> float:
        """How much was reached."""


class ProblemText(Protocol):
    """What a report says of one thing wrong with a policy set."""

    @property
    def where(self) -> str:
        """`file` or `file:line`."""

    @property
    def cause(self) -> str:
        """What is wrong."""

    @property
    def fix(self) -> str:
        """What to do."""


class ExplainedRule(RuleText, Protocol):
    """What is said of a rule where somebody asks for it by name."""

    @property
    def gate(self) -> Gate:
        """Where it is asked."""

    @property
    def level(self) -> Level:
        """What a broken rule does."""

    @property
    def path(self) -> str:
        """Its file in the policy set."""

    @property
    def applies_to(self) -> Sequence[str]:
        """The dialects it is about."""


def render_tests(
    results: Sequence[TestText],
    coverage: Sequence[CoverageText] | None,
    total_percent: float,
    *,
    style: Style = plain,
) -> str:
    """Return how tests went: every one that did not pass with what was different, then one line for all."""
    lines: list[str] = []
    for result in results:
        if result.reason:
            word = style("doubt", "error") if result.errored else style("bad", "fail")
            lines += [f"{word}  {style('strong', show(result.name))}  ({show(result.engine)})"]
            lines += [f"{_INDENT * 3}{show(line)}" for line in (result.reason, *result.details)]
    for file in coverage or ():
        if file.missed:
            lines.append(f"{file.percent:5.1f} %  {show(file.path)}  not reached: line {_ranges(file.missed)}")
    passed = sum(not result.reason for result in results)
    if not results:
        word, said = style("doubt", "not evaluated"), "no tests were found, which is never a pass"
    else:
        failed = len(results) - passed
        word = style("bad", "fail") if failed else style("good", "pass")
        engines = " and ".join(sorted({result.engine for result in results}))
        said = f"{count(passed, 'test')} passed" + (f", {failed} did not" if failed else "") + f", on {show(engines)}"
    if coverage is not None and results:
        said += f"; {total_percent:.1f} % of the lines of rules were reached"
    return "\n".join([*lines, f"{word}  {said}"]) + "\n"


def render_problems(problems: Sequence[ProblemText], notes: Sequence[str], rules: int, *, style: Style = plain) -> str:
    """Return one line for each problem, with its place and what to do, then one line for all."""
    lines = [f"{style('place', show(each.where))}: {show(each.cause)}; to do: {show(each.fix)}" for each in problems]
    lines += [f"{style('warn', 'note')}  {show(note)}" for note in notes]
    if problems:
        closing = f"{style('bad', 'fail')}  {count(len(problems), 'problem')}"
    elif not rules:
        closing = f"{style('doubt', 'not evaluated')}  there is no rule here"
    else:
        closing = f"{style('good', 'pass')}  {count(rules, 'rule')}, nothing wrong"
    return "\n".join([*lines, closing]) + "\n"


def render_rule(rule: ExplainedRule, reads: Sequence[str], *, style: Style = plain, width: int = DEFAULT_WIDTH) -> str:
    """Return what is known of a rule, for people."""
    lines = [f"{style('strong', show(rule.id))}  {show(rule.title)}"]
    facts = [
        ("why", rule.description),
        ("to do", rule.remediation),
        ("weight", f"{rule.severity.value}; level {rule.level.value}: {_LEVELS[rule.level]}"),
        ("asked", f"at the gate {rule.gate.value}" + _of_dialects(rule)),
        ("reads", ", ".join(f"input.{name}" for name in reads) or "nothing of the input"),
        ("serves", ", ".join(rule.controls)),
        ("stands", rule.path),
    ]
    for label, text in facts:
        first = f"{_INDENT}{label:<7} "
        wrapped = wrap(show(text), width=width, indent=" " * len(first), first=first)
        lines += [f"{_INDENT}{style('quiet', f'{label:<7}')} {wrapped[0].removeprefix(first)}", *wrapped[1:]]
    return "\n".join(lines) + "\n"


def render_explained(
    rule: ExplainedRule,
    decision: Decision,
    looked_at: Mapping[str, int | None],
    *,
    path: str,
    content: bytes,
    not_asked: str = "",
    named: str = "",
    key: str = "requester.key",
    style: Style = plain,
    width: int = DEFAULT_WIDTH,
) -> str:
    """Return what the rule made of an input: the parts that made it fire, or what it looked at in vain.

    `named` is the file as its reader named it, and `key` the reader's key, for the command that asks for a waiver.
    """
    lines = [f"{style('warn', 'note')}  `policyd check` does not ask it here: {show(not_asked)}"] if not_asked else []
    listed = [
        f"input.{name}" if items is None else f"input.{name} ({count(items, 'item')})"
        for name, items in looked_at.items()
    ]
    if decision.violations:
        text = render_decision(Judged(path, decision, content), {rule.id: rule}, style=style, width=width)
        lines.append(text.rstrip("\n").rpartition("\n\n")[0])
        for violation in decision.violations:
            bound = f", sha256:{violation.part_sha256}" if violation.part_sha256 else ""
            at = show(json.dumps(list(violation.at)))
            lines.append(f"{_INDENT}part: input at {at}{bound}")
            if violation.effect is Effect.DENY:
                lines.append(f"{_INDENT}{request_words(violation, decision.gate, path=named, key=key)}")
    elif decision.problems:
        lines += [f"{style('doubt', 'undecided')}  {show(problem.message)}" for problem in decision.problems]
    else:
        lines.append(f"{style('good', 'nothing found')}  in {show(path)}")
    lines.append(f"{_INDENT}looked at {', '.join(listed) or 'nothing of the input'}")
    return "\n".join(lines) + "\n"


_LEVELS = {
    Level.ADVISORY: "it only warns",
    Level.SOFT: "it denies, unless a waiver covers it",
    Level.HARD: "it denies, and no waiver helps",
}


def _of_dialects(rule: ExplainedRule) -> str:
    return f", of {' and '.join(rule.applies_to)} pipelines" if rule.gate is Gate.PIPELINE else ""


def _ranges(lines: Sequence[int]) -> str:
    """Return `3-5, 9` for 3, 4, 5, 9."""
    ranges: list[list[int]] = []
    for line in lines:
        if ranges and line == ranges[-1][1] + 1:
            ranges[-1][1] = line
        else:
            ranges.append([line, line])
    shown = [str(start) if start == end else f"{start}-{end}" for start, end in ranges[:_MAX_LINES_SHOWN]]
    return ", ".join(shown) + (", …" if len(ranges) > _MAX_LINES_SHOWN else "")
