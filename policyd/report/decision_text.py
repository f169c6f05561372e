"""Decisions as people read them: what is wrong and where, why it matters, what to do, and the verdict last.

Violations of one rule in one file stand together, so that its reason and remedy are said once. Every place is written
`file:line:column`, which terminals and editors open.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby

from policyd.models.baseline import KnownViolation
from policyd.models.decision import Decision, Effect, Verdict, Violation, WaiverState
from policyd.report.excerpt import excerpt
from policyd.report.findings import SEVERITIES, Findings, Judged, Rules, Unreadable
from policyd.report.layout import DEFAULT_WIDTH, Look, Style, count, plain, short, wrap
from policyd.report.text import show
from policyd.report.waiver_text import note_lines, waiver_words

_EFFECTS = (Effect.DENY, Effect.WARN, Effect.WAIVED)
_EFFECT_LOOKS: dict[Effect, Look] = {Effect.DENY: "bad", Effect.WARN: "warn", Effect.WAIVED: "quiet"}
VERDICT_LOOKS: dict[Verdict, Look] = {
    Verdict.ALLOW: "good",
    Verdict.DENY: "bad",
    Verdict.UNDECIDED: "doubt",
    Verdict.NOT_EVALUATED: "doubt",
}
VERDICT_WORDS = {
    Verdict.ALLOW: "allow",
    Verdict.DENY: "deny",
    Verdict.UNDECIDED: "undecided",
    Verdict.NOT_EVALUATED: "not evaluated",
}
_INDENT = "  "
#: Columns of one message. Rules quote what they judge, which may be a script of megabytes; the JSON has it all.
_MAX_MESSAGE = 1000


def render_check(findings: Findings, rules: Rules, *, style: Style = plain, width: int = DEFAULT_WIDTH) -> str:
    """Return the whole answer of `policyd check` as text that ends in a newline."""
    blocks = [block for judged in findings.judged for block in _judged_blocks(judged, rules, style, width)]
    blocks += [_unreadable_block(unreadable, style, width) for unreadable in findings.unreadable]
    if findings.gone:
        blocks.append(_gone_block(findings.gone, style, width))
    blocks += _waiver_blocks(findings, style, width)
    blocks.append(_closing(findings, style, width))
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def render_decision(judged: Judged, rules: Rules, *, style: Style = plain, width: int = DEFAULT_WIDTH) -> str:
    """Return one decision as text, for gates inside a run; ends in a newline."""
    return render_check(Findings((judged,)), rules, style=style, width=width)


def _judged_blocks(judged: Judged, rules: Rules, style: Style, width: int) -> list[list[str]]:
    blocks = []
    for lifted in ("", "known", "ignored"):
        found = [one for index, one in enumerate(judged.decision.violations) if _lifted(judged, index) == lifted]
        groups = groupby(sorted(found, key=_weight), key=lambda violation: (violation.effect, violation.rule))
        blocks += [_rule_block(list(group), judged, rules, style, width, lifted=lifted) for _, group in groups]
    blocks += [_problem_block(judged, problem.message, problem.where, problem.fix, problem.rule, style, width)
               for problem in judged.decision.problems]  # fmt: skip
    if judged.decision.verdict is Verdict.NOT_EVALUATED:
        message = "no rule applied to this file, so nothing in it was judged"
        fix = "add rules for this kind of file to the policy set"
        blocks.append(_problem_block(judged, message, judged.path, fix, None, style, width))
    if judged.decision.weakened:
        first = f"{style('warn', 'weakened')}  "
        text = "; ".join(show(words) for words in judged.decision.weakened)
        blocks.append(_styled_wrap(first, "weakened  ", f"{show(judged.path)}: {text}", width))
    blocks += [_styled_wrap(f"{style('warn', 'note')}  ", "note  ", show(note), width) for note in judged.notes]
    return blocks


def _lifted(judged: Judged, index: int) -> str:
    """Return the word for what lifts a violation in this check alone."""
    return "known" if index in judged.known else "ignored" if index in judged.ignored else ""


def _rule_block(
    group: Sequence[Violation], judged: Judged, rules: Rules, style: Style, width: int, *, lifted: str
) -> list[str]:
    worst = group[0]
    rule = rules.get(worst.rule)
    word = style("quiet", lifted) if lifted else style(_EFFECT_LOOKS[worst.effect], worst.effect.value)
    head = f"{word}  {style('strong', show(worst.rule))}  {worst.severity.value}"
    lines = [f"{head}  {show(rule.title)}" if rule else head]
    for violation in group:
        lines += _violation_lines(violation, judged, style, width, lifted=lifted)
    if worst.effect is Effect.WAIVED or lifted:
        return lines
    if rule and rule.description:
        lines += _explained("why", rule.description, style, width)
    if rule and rule.remediation:
        lines += _explained("to do", rule.remediation, style, width)
    return lines


@lru_cache(maxsize=512)
def _explained(label: str, text: str, style: Style, width: int) -> list[str]:
    """Return what a rule says of itself; remembered, since it says so in every file that breaks it."""
    return _labelled(label, text, style, width)


def _violation_lines(violation: Violation, judged: Judged, style: Style, width: int, *, lifted: str) -> list[str]:
    place = violation.place
    where = show(judged.path if place is None else f"{place.file}:{place.line}:{place.column}")
    lines = [f"{_INDENT}{style('place', where)}"]
    lines += wrap(show(violation.message, width=_MAX_MESSAGE), width=width, indent=_INDENT * 2)
    if lifted == "ignored":
        return lines + _labelled("reason", judged.ignored[judged.decision.violations.index(violation)], style, width)
    if lifted:
        return lines
    if _has_excerpt(violation, judged):
        assert place is not None
        lines += [_INDENT * 2 + line for line in excerpt(judged.content, place, width=width - 4, style=style)]
    for related in violation.related:
        there = "" if related.place is None else f" ({related.place.file}:{related.place.line}:{related.place.column})"
        lines += _labelled("see", related.message + there, style, width)
    if violation.effect is Effect.WAIVED:
        lines += _labelled("waiver", waiver_words(violation, judged.decision), style, width)
        return lines
    if violation.blocks_from:
        lines += _labelled("from", f"{violation.blocks_from} on this denies", style, width)
    if violation.fix:
        lines += _labelled("fix", violation.fix, style, width)
    return lines


def _has_excerpt(violation: Violation, judged: Judged) -> bool:
    # The line with a credential is the credential, and this text ends up in the logs of CI systems.
    if violation.effect is Effect.WAIVED or violation.rule == "credentials.hardcoded_credential":
        return False
    return violation.place is not None and bool(judged.content) and violation.place.file == judged.path


def _problem_block(
    judged: Judged, message: str, where: str, fix: str, rule: str | None, style: Style, width: int
) -> list[str]:
    word = VERDICT_WORDS[
        Verdict.NOT_EVALUATED if judged.decision.verdict is Verdict.NOT_EVALUATED else Verdict.UNDECIDED
    ]
    name = f"{style('strong', show(rule))}  " if rule else ""
    lines = [f"{style('doubt', word)}  {name}{style('place', show(judged.path))}"]
    lines += wrap(show(message), width=width, indent=_INDENT)
    if where and where != judged.path:
        lines += _labelled("where", where, style, width)
    return lines + (_labelled("to do", fix, style, width) if fix else [])


def _unreadable_block(unreadable: Unreadable, style: Style, width: int) -> list[str]:
    lines = [f"{style('doubt', 'unreadable')}  {style('place', show(unreadable.where or unreadable.path))}"]
    lines += wrap(show(unreadable.cause), width=width, indent=_INDENT)
    return lines + (_labelled("to do", unreadable.fix, style, width) if unreadable.fix else [])


def _gone_block(gone: Sequence[KnownViolation], style: Style, width: int) -> list[str]:
    lines = [f"{style('quiet', 'gone')}  {style('strong', 'the baseline knows violations that are no longer there')}"]
    for entry in gone:
        times = f" ({entry.count} times)" if entry.count > 1 else ""
        lines += wrap(show(f"{entry.rule}  {entry.file}{times}"), width=width, indent=_INDENT)
    return lines + _labelled("to do", "Write the baseline anew with --write-baseline.", style, width)


def _waiver_blocks(findings: Findings, style: Style, width: int) -> list[list[str]]:
    """Return the waivers that did not count, and those that soon won't, each once however many decisions say so."""
    notes = {
        (note.source, note.state): note
        for judged in findings.judged
        for note in judged.decision.waivers
        if note.state is not WaiverState.USED or note.expires_soon
    }
    return [note_lines(notes[key], style=style, width=width) for key in sorted(notes)]


def _closing(findings: Findings, style: Style, width: int) -> list[str]:
    verdict = findings.verdict
    word = VERDICT_WORDS[verdict]
    text = f"{_sentence(findings)} {_counts(findings)}".rstrip()
    return _styled_wrap(f"{style(VERDICT_LOOKS[verdict], word)}  ", f"{word}  ", text, width)


def _sentence(findings: Findings) -> str:
    total = len(findings.judged) + len(findings.unreadable)
    of_all = count(total, "pipeline") if total == 1 else f"of {total} pipelines"
    number = {verdict: sum(judged.verdict is verdict for judged in findings.judged) for verdict in Verdict}
    match findings.verdict:
        case Verdict.ALLOW if any(judged.decision.verdict is Verdict.DENY for judged in findings.judged):
            return f"{count(total, 'pipeline')} with nothing else. A run is still denied for what is known or ignored."
        case Verdict.ALLOW:
            return f"{count(total, 'pipeline')} may run."
        case Verdict.DENY:
            refused = number[Verdict.DENY]
            return f"{of_all if total == 1 else f'{refused} {of_all}'} may not run."
        case Verdict.UNDECIDED:
            unknown = number[Verdict.UNDECIDED] + len(findings.unreadable)
            who = of_all if total == 1 else f"{unknown} {of_all}"
            denied = f" {number[Verdict.DENY]} denied." if number[Verdict.DENY] else ""
            return f"{who} could not be judged, which is never a pass.{denied}"
        case Verdict.NOT_EVALUATED:
            return (
                "No pipeline was found: nothing was judged, so nothing is allowed."
                if not total
                else "No rule was asked of at least one pipeline: what was not judged is not allowed."
            )


def _counts(findings: Findings) -> str:
    known = sum(len(judged.known) for judged in findings.judged)
    ignored = sum(len(judged.ignored.keys() - judged.known) for judged in findings.judged)
    violations = [
        violation
        for judged in findings.judged
        for index, violation in enumerate(judged.decision.violations)
        if not _lifted(judged, index)
    ]
    standing = [violation for violation in violations if violation.effect is Effect.DENY]
    parts = []
    if standing:
        by_severity = ", ".join(
            f"{number} {severity.value}"
            for severity in SEVERITIES
            if (number := sum(violation.severity is severity for violation in standing))
        )
        parts.append(f"{count(len(standing), 'violation')} ({by_severity})")
    for effect, noun in ((Effect.WARN, "warning"), (Effect.WAIVED, "waived")):
        if number := sum(violation.effect is effect for violation in violations):
            parts.append(f"{number} waived" if effect is Effect.WAIVED else count(number, noun))
    if known:
        parts.append(f"{known} known")
    if ignored:
        parts.append(f"{ignored} ignored by comments")
    if findings.hidden:
        parts.append(f"{findings.hidden} hidden (--persona auditor shows all)")
    decisions = [judged.decision for judged in findings.judged]
    if not decisions:
        return ""
    asked = {rule for decision in decisions for rule in decision.rules}
    parts.append(f"{count(len(asked), 'rule')} asked")
    parts.append(_policy_sets(decisions))
    text = ", ".join(parts)
    return text[0].upper() + text[1:] + "."


def _policy_sets(decisions: Sequence[Decision]) -> str:
    sets = sorted({(decision.policy_set.name, decision.policy_set.sha256) for decision in decisions})
    named = " and ".join(f"{show(name)} {short(sha256)}" for name, sha256 in sets)
    lower = {
        (layer.layer, layer.name, layer.sha256)
        for decision in decisions
        for layer in decision.layers
        if layer.layer != "organisation"
    }
    if lower:
        named += ", with " + " and ".join(
            f"the {layer}'s {show(name)} {short(sha256)}" for layer, name, sha256 in sorted(lower, reverse=True)
        )
    self_governed = any(decision.governance == "self" for decision in decisions)
    return f"policy set {named}" + (" (governance: self, no operator settings)" if self_governed else "")


def _labelled(label: str, text: str, style: Style, width: int) -> list[str]:
    first = f"{_INDENT * 2}{label:<6} "
    return _styled_wrap(f"{_INDENT * 2}{style('quiet', f'{label:<6}')} ", first, show(text, width=_MAX_MESSAGE), width)


def _styled_wrap(styled: str, first: str, shown: str, width: int) -> list[str]:
    """Wrap with a styled start: measured without its colour codes."""
    lines = wrap(shown, width=width, indent=" " * len(first), first=first)
    return [styled + lines[0].removeprefix(first), *lines[1:]]


def _weight(violation: Violation) -> tuple[int, int, str, int, int]:
    place = violation.place
    return (
        _EFFECTS.index(violation.effect),
        SEVERITIES.index(violation.severity),
        violation.rule,
        place.line if place else 0,
        place.column if place else 0,
    )
