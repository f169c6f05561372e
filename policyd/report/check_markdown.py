"""What a check found as Markdown: for a job's summary or a comment on a change.

Foreign text stands in code spans or is escaped, so that none becomes a link, an image, a mention or HTML.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from policyd.models.decision import Decision, Effect, Verdict, Violation
from policyd.report.decision_text import VERDICT_WORDS
from policyd.report.findings import SEVERITIES, Findings, Judged, Rules, doubt_words
from policyd.report.layout import count, short
from policyd.report.text import show

_MAX_PLACES = 20  # of one rule; GitHub takes one megabyte of summary
_SPECIAL = frozenset("\\`*_{}[]<>()#+-.!|~@:&")


def render_check_markdown(findings: Findings, rules: Rules) -> str:
    """Return the answer of `policyd check` as GitHub Flavored Markdown."""
    lines = [f"## policyd: {VERDICT_WORDS[findings.verdict]}", "", _sentence(findings), ""]
    found = [
        (judged, violation, judged.lifted(index))
        for judged in findings.judged
        for index, violation in enumerate(judged.decision.violations)
    ]
    for title, wanted in (("Denies", Effect.DENY), ("Warns", Effect.WARN)):
        standing = [(judged, violation) for judged, violation, why in found if not why and violation.effect is wanted]
        lines += _section(title, standing, rules)
    lifted = [
        f"- {_code(violation.rule)} {_where(judged, violation)}: {markdown(why)}"
        for judged, violation, why in found
        if why
    ]
    if lifted:
        lines += ["### Lifted", "", *lifted[:_MAX_PLACES], *_more(len(lifted)), ""]
    doubts = [
        f"- {_code(judged.path)}: {markdown(doubt_words(problem))}"
        for judged in findings.judged
        for problem in judged.decision.problems
    ]
    doubts += [f"- {_code(one.path)}: {markdown(doubt_words(one))}" for one in findings.unreadable]
    doubts += [
        f"- {_code(judged.path)}: no rule applied to this file"
        for judged in findings.judged
        if judged.decision.verdict is Verdict.NOT_EVALUATED
    ]
    weakened = [
        f"- {_code(judged.path)}: {markdown(words)}" for judged in findings.judged for words in judged.decision.weakened
    ]
    if weakened:
        lines += ["### Weakened", "", *weakened, ""]
    if not findings.judged and not findings.unreadable:
        doubts = ["- no pipeline was found: nothing was judged"]
    if doubts:
        lines += ["### Could not be judged", "", *doubts, ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def markdown(text: str) -> str:
    """Return foreign text that Markdown shows as it is."""
    return "".join(f"\\{character}" if character in _SPECIAL else character for character in show(text))


def _section(title: str, found: Sequence[tuple[Judged, Violation]], rules: Rules) -> list[str]:
    if not found:
        return []
    lines = [f"### {title}", ""]
    by_weight = sorted(found, key=lambda pair: (SEVERITIES.index(pair[1].severity), pair[1].rule))
    for rule_id, group in groupby(by_weight, key=lambda pair: pair[1].rule):
        places = list(group)
        rule = rules.get(rule_id)
        heading = f"**{places[0][1].severity.value}** {_code(rule_id)}"
        lines += [f"{heading} {markdown(rule.title)}" if rule else heading, ""]
        lines += [
            f"- {_where(judged, violation)}: {markdown(violation.message)}"
            for judged, violation in places[:_MAX_PLACES]
        ]
        lines += _more(len(places))
        if rule and rule.remediation:
            lines += ["", f"  To do: {markdown(rule.remediation)}"]
        lines.append("")
    return lines


def _more(number: int) -> list[str]:
    return [f"- and {number - _MAX_PLACES} more"] if number > _MAX_PLACES else []


def _where(judged: Judged, violation: Violation) -> str:
    place = violation.place
    return _code(judged.path if place is None else f"{place.file}:{place.line}:{place.column}")


def _code(text: str) -> str:
    """Return foreign text as a code span, in which only backquotes mean anything; a table's bars are not used here."""
    return f"`{show(text).replace('`', '´')}`"


def _sentence(findings: Findings) -> str:
    decisions: list[Decision] = [judged.decision for judged in findings.judged]
    standing = sum(
        violation.effect is Effect.DENY and not judged.lifted(index)
        for judged in findings.judged
        for index, violation in enumerate(judged.decision.violations)
    )
    asked = {rule for decision in decisions for rule in decision.rules}
    sets = sorted({f"{decision.policy_set.name} {short(decision.policy_set.sha256)}" for decision in decisions})
    parts = [
        count(len(findings.judged) + len(findings.unreadable), "pipeline"),
        count(standing, "violation"),
        f"{count(len(asked), 'rule')} asked",
    ]
    named = f" Policy set {' and '.join(_code(name) for name in sets)}." if sets else ""
    return f"{', '.join(parts)}.{named}"
