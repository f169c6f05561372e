"""What a change of policy does, as people read it on a terminal and in a pull request, and as machines do.

Decisions that changed in the same way stand together, so that a hundred nightly runs are one entry; what lets more
through stands first. Text from pipelines and policies is foreign in both forms: on a terminal it goes through `show`,
in Markdown it also stands in code spans, where nothing of it is a link, a mention or HTML.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from policyd.models.decision import Violation
from policyd.policy.changes import Change, Judgements, RuleChange, SetChanges, Turn, Unjudged, count_by_rule
from policyd.report.decision_text import VERDICT_LOOKS, VERDICT_WORDS
from policyd.report.json_text import render_json
from policyd.report.layout import DEFAULT_WIDTH, Look, Style, count, plain, short, wrap
from policyd.report.text import show

SCHEMA = "policyd.policy-changes/v1"
MAX_CHARACTERS = 50_000  # of a comment, about: GitHub takes 65,536
MAX_LINES = 20  # of one group in a comment, some 10,000 characters
_MAX_MESSAGE = 300
T = TypeVar("T")
#: Makes foreign text safe for one of the two forms.
Quote = Callable[[str], str]
_INDENT = "  "
_TURNS: dict[Turn, tuple[Look, str]] = {
    Turn.LOOSER: ("warn", "lets through what was not"),
    Turn.UNDECIDED: ("doubt", "can't be decided"),
    Turn.STRICTER: ("bad", "no longer lets through"),
    Turn.SAME: ("quiet", "the same verdict, for other reasons"),
}


@dataclass(frozen=True, slots=True)
class _Group:
    """Changes that are alike: of one subject, with the same lines to say."""

    changes: tuple[Change, ...]
    lines: tuple[_Line, ...]

    @property
    def first(self) -> Change:
        return self.changes[0]


@dataclass(frozen=True, slots=True)
class _Line:
    """One thing that is different: `+` came, `-` went, `~` is weighed differently, `!` is why there is no answer."""

    sign: str
    word: str
    rule: str
    where: str
    message: str


def render_changes_text(
    judgements: Judgements,
    sets: SetChanges | None = None,
    *,
    same: bool = False,
    noun: str = "decision",
    style: Style = plain,
    width: int = DEFAULT_WIDTH,
) -> str:
    """Return the changes as text that ends in a newline. `same`: every decision should have had the same bytes."""
    blocks: list[list[str]] = []
    if sets is not None:
        blocks.append(_sets_block(sets, style, width))
    blocks += [_group_block(group, style, width) for group in _group(judgements.changes)]
    blocks += [_unjudged_block(one, style, width) for one in judgements.unjudged]
    counted = count_by_rule(judgements.changes)
    if counted:
        lines = [f"{style('strong', 'by rule')}"]
        lines += [f"{_INDENT}{_counts(*numbers)}  {show(rule)}" for rule, numbers in counted.items()]
        blocks.append(lines)
    blocks.append(_closing_block(judgements, same, noun, style, width))
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def render_changes_markdown(
    judgements: Judgements, sets: SetChanges | None = None, *, same: bool = False, noun: str = "decision"
) -> str:
    """Return the changes as Markdown for a comment on a pull request."""
    lines = ["## What this policy changes", "", f"**{_sentence(judgements, same, noun)}**", ""]
    if sets is not None and sets.any:
        lines += ["### Rules", "", *(f"- {line}" for line in _set_lines(sets, _code)), ""]
    groups = _group(judgements.changes)
    left = MAX_CHARACTERS - sum(map(len, lines))
    for turn, (_, words) in _TURNS.items():
        of_turn = [group for group in groups if group.first.turn is turn]
        section, left = _section(f"{words[0].upper()}{words[1:]}", of_turn, _group_markdown, left)
        lines += section
    section, left = _section("Could not be judged", judgements.unjudged, _unjudged_markdown, left)
    return "\n".join([*lines, *section])


def _section(title: str, found: Sequence[T], render: Callable[[T], list[str]], left: int) -> tuple[list[str], int]:
    """Return a section with as many entries as fit in `left` characters, and how many characters are left then."""
    if not found:
        return [], left
    lines = [f"### {title}", ""]
    for number, one in enumerate(found):
        if left <= 0:
            lines.append(f"- and {len(found) - number} more; `--format json` lists all")
            break
        entry = render(one)
        lines += entry
        left -= sum(map(len, entry))
    return [*lines, ""], left


def _unjudged_markdown(one: Unjudged) -> list[str]:
    return [f"- {_code(one.subject)}: {_code(one.cause)} ({_code(one.where)})"]


def render_changes_json(
    judgements: Judgements, sets: SetChanges | None = None, *, same: bool = False, exit_code: int
) -> str:
    """Return everything as JSON, `policyd.policy-changes/v1`. Fields are only ever added."""
    return render_json(
        {
            "schema": SCHEMA,
            "exit_code": exit_code,
            "judged": judgements.judged,
            "undecided": judgements.undecided,
            "same_bytes_expected": same,
            "sets": None if sets is None else _sets_json(sets),
            "changes": [_change_json(change) for change in judgements.changes],
            "unjudged": [
                {"name": one.name, "subject": one.subject, "cause": one.cause, "where": one.where, "fix": one.fix}
                for one in judgements.unjudged
            ],
            "rules": {
                rule: {"come": come, "gone": gone, "weighed": weighed}
                for rule, (come, gone, weighed) in count_by_rule(judgements.changes).items()
            },
        }
    )


def _group(changes: Iterable[Change]) -> list[_Group]:
    """Return the changes with those that are alike together, by how dangerous they are."""
    found: dict[tuple[object, ...], list[Change]] = {}
    lines: dict[tuple[object, ...], tuple[_Line, ...]] = {}
    for change in changes:
        said = tuple(_lines_of(change))
        key = (change.gate, change.subject, change.old, change.new, change.fields, said)
        found.setdefault(key, []).append(change)
        lines[key] = said
    groups = [_Group(tuple(alike), lines[key]) for key, alike in found.items()]
    order = list(Turn)
    return sorted(groups, key=lambda group: (order.index(group.first.turn), group.first.gate, group.first.subject))


def _lines_of(change: Change) -> Iterable[_Line]:
    for problem in change.problems:
        yield _Line("!", "problem", problem.rule or "", problem.where, problem.message)
    for violation in change.come:
        yield _line("+", violation.effect.value, violation)
    for old, new in change.weighed:
        was, now = old.effect.value, new.effect.value
        yield _line("~", f"{was} → {now}" if was != now else now, new, _weighing(old, new))
    for violation in change.gone:
        yield _line("-", violation.effect.value, violation)


def _weighing(old: Violation, new: Violation) -> str:
    """Return what is different about one violation, in words."""
    pairs = {
        "level": (old.level.value, new.level.value),
        "severity": (old.severity.value, new.severity.value),
        "blocks from": (old.blocks_from or "now on", new.blocks_from or "now on"),
    }
    said = [f"{name} {one} → {other}" for name, (one, other) in pairs.items() if one != other]
    others = ("message", "place", "fix", "related", "confidence", "waiver", "part_sha256")
    said += [f"another {name}" for name in others if getattr(old, name) != getattr(new, name)]
    return ", ".join(said)


def _line(sign: str, word: str, violation: Violation, detail: str = "") -> _Line:
    place = violation.place
    where = "" if place is None else f"{place.file}:{place.line}:{place.column}"
    message = f"{detail}: {violation.message}" if detail else violation.message
    return _Line(sign, word, violation.rule, where, message)


def _group_block(group: _Group, style: Style, width: int) -> list[str]:
    change = group.first
    look, words = _TURNS[change.turn]
    verdicts = _verdicts(change, style)
    head = f"{style(look, change.turn.value)}  {style('place', show(change.subject))}  {verdicts}  {words}"
    lines = [head]
    if change.decided_at:
        lines.append(f"{_INDENT}{style('quiet', _which(group))}")
    if change.fields:
        lines += wrap(f"not the bytes that were signed: {_fields(change)} differ", width=width, indent=_INDENT)
    for line in group.lines:
        first = f"{_INDENT}{line.sign} {line.word}  {show(line.rule)}  {show(line.where)}".rstrip()
        lines.append(first)
        lines += wrap(show(line.message, width=_MAX_MESSAGE), width=width, indent=_INDENT * 3)
    return lines


def _verdicts(change: Change, style: Style) -> str:
    old, new = VERDICT_WORDS[change.old], VERDICT_WORDS[change.new]
    if change.old is change.new:
        return style(VERDICT_LOOKS[change.new], new)
    return f"{style(VERDICT_LOOKS[change.old], old)} → {style(VERDICT_LOOKS[change.new], new)}"


def _which(group: _Group) -> str:
    """Return which decisions these are: how many, the last of them, its run."""
    change = group.changes[-1]
    run = f", run {change.run_id[:12]}" if change.run_id else ""
    one = f"gate {change.gate.value}, decided {change.decided_at[:19]}Z{run}, sha256:{short(change.name)}"
    return one if len(group.changes) == 1 else f"{len(group.changes)} decisions, the last: {one}"


def _fields(change: Change) -> str:
    return ", ".join(f"`{name}`" for name in change.fields)


def _group_markdown(group: _Group) -> list[str]:
    change = group.first
    times = f" ({len(group.changes)} times)" if len(group.changes) > 1 else ""
    verdicts = VERDICT_WORDS[change.new]
    if change.old is not change.new:
        verdicts = f"{VERDICT_WORDS[change.old]} → {VERDICT_WORDS[change.new]}"
    lines = [f"- {_code(change.subject)}: **{verdicts}**{times}"]
    if change.fields:
        lines.append(f"  - not the bytes that were signed: {_fields(change)} differ")
    for line in group.lines[:MAX_LINES]:
        where = f" at {_code(line.where)}" if line.where else ""
        rule = f" {_code(line.rule)}" if line.rule else ""
        words = {"+": "comes", "-": "goes", "~": "is weighed differently", "!": "problem"}[line.sign]
        effect = "" if line.sign == "!" else f" ({line.word})"
        lines.append(f"  - {words}:{rule}{effect}{where}: {_code(line.message)}")
    if len(group.lines) > MAX_LINES:
        lines.append(f"  - and {len(group.lines) - MAX_LINES} more")
    return lines


def _unjudged_block(one: Unjudged, style: Style, width: int) -> list[str]:
    name = show(short(one.name) if re.fullmatch(r"[0-9a-f]{64}", one.name) else one.name)
    lines = [f"{style('doubt', 'not judged')}  {style('place', show(one.subject))}  {name}".rstrip()]
    lines += wrap(show(one.cause), width=width, indent=_INDENT)
    lines += wrap(f"where: {show(one.where)}", width=width, indent=_INDENT)
    return lines + (wrap(f"to do: {show(one.fix)}", width=width, indent=_INDENT) if one.fix else [])


def _sets_block(sets: SetChanges, style: Style, width: int) -> list[str]:
    old, new = sets.old, sets.new
    head = f"{style('strong', 'policy sets')}  {show(old.name)} {short(old.sha256)} → {show(new.name)} "
    lines = [head + short(new.sha256)]
    if not sets.any:
        return [*lines, f"{_INDENT}the same rules, libraries and settings"]
    for line in _set_lines(sets, show):
        lines += wrap(line, width=width, indent=_INDENT * 2, first=_INDENT)
    return lines


def _set_lines(sets: SetChanges, quote: Quote) -> Iterable[str]:
    for rule in sets.added:
        yield f"added: {quote(rule.id)} ({rule.severity.value}, {rule.level.value})"
    for rule in sets.removed:
        yield f"removed: {quote(rule.id)} ({rule.severity.value}, {rule.level.value})"
    for change in (*sets.changed, *sets.settings):
        yield f"changed: {quote(change.rule)}: {_rule_change(change, quote)}"
    for path in sets.libraries:
        yield f"changed: shared module {quote(path)}"


def _rule_change(change: RuleChange, quote: Quote) -> str:
    if change.what in ("its Rego", "its words"):
        return f"{change.what} changed"
    old = "none" if change.old is None else quote(change.old)
    new = "none" if change.new is None else quote(change.new)
    return f"{show(change.what)} {old} → {new}"


def _closing_block(judgements: Judgements, same: bool, noun: str, style: Style, width: int) -> list[str]:
    word: str
    look: Look
    if judgements.unjudged or judgements.undecided:
        word, look = "undecided", "doubt"
    elif judgements.changes:
        word, look = "changed", "warn"
    elif judgements.judged:
        word, look = "unchanged", "good"
    else:
        word, look = "not evaluated", "doubt"
    text = wrap(_sentence(judgements, same, noun), width=width, indent=" " * (len(word) + 2), first=f"{word}  ")
    return [style(look, word) + text[0].removeprefix(word), *text[1:]]


def _sentence(judgements: Judgements, same: bool, noun: str) -> str:
    if not judgements.judged and not judgements.unjudged:
        return f"No {noun} was found: nothing was judged."
    changes = judgements.changes
    turned = [change for change in changes if change.old is not change.new]
    by_turn = ", ".join(
        f"{number} {turn.value}" for turn in Turn if (number := sum(change.turn is turn for change in turned))
    )
    total = count(judgements.judged, noun)
    if not changes:
        said = f"{total} judged again: the bytes that were signed." if same else f"{total} judged: nothing changes."
    else:
        detail = f" ({by_turn})" if by_turn else ""
        kept = sum(change.turn is Turn.SAME and change.old is change.new for change in changes)
        said = f"Of {total}, {len(turned)} change their verdict{detail}"
        said += f" and {kept} keep it but differ." if kept else "."
    if judgements.undecided:
        said += f" {count(judgements.undecided, noun)} can't be decided."
    if judgements.unjudged:
        said += f" {count(len(judgements.unjudged), noun)} could not be judged."
    return said


def _counts(come: int, gone: int, weighed: int) -> str:
    return "  ".join(f"{sign}{number}" for sign, number in (("+", come), ("-", gone), ("~", weighed)) if number)


def _code(text: str) -> str:
    """Return foreign text as a code span: its fence is longer than any run of backticks inside."""
    shown = show(text, width=_MAX_MESSAGE) or " "
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    space = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{space}{shown}{space}{fence}"


def _sets_json(sets: SetChanges) -> dict[str, object]:
    return {
        "old": sets.old.ref.model_dump(),
        "new": sets.new.ref.model_dump(),
        "added": [rule.id for rule in sets.added],
        "removed": [rule.id for rule in sets.removed],
        "changed": [_rule_json(change) for change in sets.changed],
        "settings": [_rule_json(change) for change in sets.settings],
        "libraries": list(sets.libraries),
    }


def _rule_json(change: RuleChange) -> dict[str, object]:
    return {"rule": change.rule, "what": change.what, "old": change.old, "new": change.new}


def _change_json(change: Change) -> dict[str, object]:
    return {
        "name": change.name,
        "gate": change.gate.value,
        "subject": change.subject,
        "run_id": change.run_id,
        "decided_at": change.decided_at or None,
        "turn": change.turn.value,
        "old": change.old.value,
        "new": change.new.value,
        "come": [_violation_json(violation) for violation in change.come],
        "gone": [_violation_json(violation) for violation in change.gone],
        "weighed": [{"old": _violation_json(old), "new": _violation_json(new)} for old, new in change.weighed],
        "problems": [problem.model_dump(exclude_none=True) for problem in change.problems],
        "differing_fields": list(change.fields),
    }


def _violation_json(violation: Violation) -> dict[str, object]:
    return violation.model_dump(mode="json", exclude_none=True)
