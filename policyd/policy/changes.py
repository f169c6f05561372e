"""What a change of policy does: to the rules of a set, and to decisions judged before and after.

Pure comparison. A violation is the same one where the same rule speaks of the same part of the input; what became of
its effect or its words is then said beside it, and does not look like one that went and another that came.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from policyd.models.base import JsonPath, RuleId
from policyd.models.decision import Decision, Gate, Problem, Verdict, Violation
from policyd.policy.catalogue import RuleMeta
from policyd.policy.policy_set import PolicySet


class Turn(StrEnum):
    """Which way a decision turned, the most dangerous first."""

    LOOSER = "looser"  # it lets through what it did not
    UNDECIDED = "undecided"  # there is no answer, whatever there was before
    STRICTER = "stricter"  # it no longer lets through
    SAME = "same"  # the verdict holds; violations differ


@dataclass(frozen=True, slots=True)
class Change:
    """A decision that is not what it was. `name` is what people find it by: a path, or a digest."""

    name: str
    gate: Gate
    subject: str
    old: Verdict
    new: Verdict
    come: tuple[Violation, ...] = ()
    gone: tuple[Violation, ...] = ()
    weighed: tuple[tuple[Violation, Violation], ...] = ()  # there before and after, and not the same
    problems: tuple[Problem, ...] = ()  # what kept the new one from being decided
    run_id: str | None = None  # of a recorded decision
    decided_at: str = ""  # when it was recorded
    fields: tuple[str, ...] = ()  # where the same bytes were expected: the fields that differ

    @property
    def turn(self) -> Turn:
        """Which way it turned."""
        if self.new is Verdict.UNDECIDED:
            return Turn.UNDECIDED
        if self.new is self.old:
            return Turn.SAME
        if self.new is Verdict.ALLOW:
            return Turn.LOOSER
        return Turn.STRICTER if self.old is Verdict.ALLOW else Turn.SAME


@dataclass(frozen=True, slots=True)
class Unjudged:
    """An input that could not be judged, or not again."""

    name: str
    subject: str
    cause: str
    where: str
    fix: str


@dataclass(slots=True)
class Judgements:
    """Everything judged twice: how many, and of those what is not the same. Only that is kept."""

    judged: int = 0
    changes: list[Change] = field(default_factory=list)
    unjudged: list[Unjudged] = field(default_factory=list)

    @property
    def undecided(self) -> int:
        """How many were judged, and nobody can say what the answer is."""
        return sum(change.new is Verdict.UNDECIDED for change in self.changes)

    def add(self, answer: Change | Unjudged | None) -> None:
        """Take in one comparison; None is one without a change."""
        if isinstance(answer, Unjudged):
            self.unjudged.append(answer)
            return
        self.judged += 1
        if answer is not None:
            self.changes.append(answer)


@dataclass(frozen=True, slots=True)
class RuleChange:
    """One thing about a rule (or of the settings) that two policy sets say differently; None where one says nothing."""

    rule: str
    what: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class SetChanges:
    """What differs between two policy sets, before anything is judged."""

    old: PolicySet
    new: PolicySet
    added: tuple[RuleMeta, ...]
    removed: tuple[RuleMeta, ...]
    changed: tuple[RuleChange, ...]
    libraries: tuple[str, ...]  # paths of shared modules that differ
    settings: tuple[RuleChange, ...]

    @property
    def any(self) -> bool:
        """True where anything differs that could change an answer."""
        return self.old.sha256 != self.new.sha256


def compare_decisions(name: str, old: Decision, new: Decision) -> Change | None:
    """Return what changed from `old` to `new`, two decisions about one input; None where nothing did.

    A new one that is `undecided` is always told, with its reasons: not knowing is not "unchanged".
    """
    come, gone, weighed = compare_violations(old.violations, new.violations)
    undecided = new.verdict is Verdict.UNDECIDED
    if old.verdict is new.verdict and not (come or gone or weighed or undecided):
        return None
    return Change(
        name=name,
        gate=old.gate,
        subject=old.subject,
        old=old.verdict,
        new=new.verdict,
        come=come,
        gone=() if undecided else gone,  # a rule that did not answer has not found nothing
        weighed=weighed,
        problems=new.problems if undecided else (),
    )


def compare_violations(
    old: Sequence[Violation], new: Sequence[Violation]
) -> tuple[tuple[Violation, ...], tuple[Violation, ...], tuple[tuple[Violation, Violation], ...]]:
    """Return the violations that came, those that went, and the pairs that are one violation weighed differently."""
    # 1. What is the same to the last letter is no change, however many there are of it.
    left, come = _without_equal(old, new)
    # 2. Of the rest, one of the same rule about the same part is the same violation.
    before: dict[tuple[RuleId, JsonPath], list[Violation]] = defaultdict(list)
    for violation in left:
        before[violation.rule, violation.at].append(violation)
    really_come, weighed = [], []
    for violation in come:
        matching = before[violation.rule, violation.at]
        if matching:
            weighed.append((matching.pop(0), violation))
        else:
            really_come.append(violation)
    gone = tuple(violation for rest in before.values() for violation in rest)
    return tuple(really_come), gone, tuple(weighed)


def find_differences(old: Decision, new: Decision) -> tuple[str, ...]:
    """Return the fields in which two decisions differ: for a replay that should have given the same bytes."""
    before, after = (decision.model_dump(mode="json", exclude_none=True) for decision in (old, new))
    return tuple(name for name in Decision.model_fields if before.get(name, _NOTHING) != after.get(name, _NOTHING))


def compare_sets(old: PolicySet, new: PolicySet) -> SetChanges:
    """Return what differs between two policy sets: rules, what is said of them, their text, shared text, settings."""
    shared = [id_ for id_ in old.catalogue if id_ in new.catalogue]
    return SetChanges(
        old=old,
        new=new,
        added=tuple(rule for id_, rule in new.catalogue.items() if id_ not in old.catalogue),
        removed=tuple(rule for id_, rule in old.catalogue.items() if id_ not in new.catalogue),
        changed=tuple(change for id_ in shared for change in _compare_rule(id_, old, new))
        + tuple(change for change in _compare_collections(old, new) if change.rule in shared),
        libraries=tuple(sorted(_compare_libraries(old, new))),
        settings=tuple(_compare_settings(old, new, shared)),
    )


_NOTHING = object()


def _without_equal(old: Sequence[Violation], new: Sequence[Violation]) -> tuple[list[Violation], list[Violation]]:
    left = [violation.model_dump_json() for violation in old]
    remaining = dict(enumerate(old))
    by_text: dict[str, list[int]] = defaultdict(list)
    for index, text in enumerate(left):
        by_text[text].append(index)
    come = []
    for violation in new:
        same = by_text[violation.model_dump_json()]
        if same:
            del remaining[same.pop(0)]
        else:
            come.append(violation)
    return list(remaining.values()), come


def _compare_rule(id_: str, old: PolicySet, new: PolicySet) -> Iterator[RuleChange]:
    before, after = old.catalogue[id_], new.catalogue[id_]
    pairs = {
        "severity": (before.severity.value, after.severity.value),
        "level": (before.level.value, after.level.value),
        "in force from": (_day(before), _day(after)),
        "gate": (before.gate.value, after.gate.value),
        "asked of": (", ".join(before.applies_to), ", ".join(after.applies_to)),
        "confidence": (before.confidence, after.confidence),
    }
    said = [RuleChange(id_, what, one, other) for what, (one, other) in pairs.items() if one != other]
    yield from said
    if _code(old, before) != _code(new, after):
        yield RuleChange(id_, "its Rego", before.path, after.path)
    elif old.modules[before.path] != new.modules[after.path] and not said and before.settings == after.settings:
        yield RuleChange(id_, "its words", before.path, after.path)


def _day(rule: RuleMeta) -> str | None:
    return rule.effective_on.isoformat().replace("+00:00", "Z") if rule.effective_on else None


def _code(policy_set: PolicySet, rule: RuleMeta) -> str:
    """Return the module without comments and blank lines: METADATA is compared field by field."""
    lines = (line.strip() for line in policy_set.modules[rule.path].split("\n"))
    return "\n".join(line for line in lines if line and not line.startswith("#"))


def _compare_collections(old: PolicySet, new: PolicySet) -> Iterator[RuleChange]:
    for name in sorted(old.collections.keys() | new.collections.keys()):
        before, after = set(old.collections.get(name, ())), set(new.collections.get(name, ()))
        for id_ in sorted(before ^ after):
            one, other = ("in", "out") if id_ in before else ("out", "in")
            yield RuleChange(id_, f"collection {name}", one, other)


def _compare_libraries(old: PolicySet, new: PolicySet) -> Iterator[str]:
    rules = {rule.path for policy_set in (old, new) for rule in policy_set.catalogue.values()}
    for path in old.modules.keys() | new.modules.keys():
        if path not in rules and old.modules.get(path) != new.modules.get(path):
            yield path


def _compare_settings(old: PolicySet, new: PolicySet, shared: Sequence[RuleId]) -> Iterator[RuleChange]:
    for key in sorted(old.settings.keys() | new.settings.keys()):
        before, after = old.settings.get(key), new.settings.get(key)
        if key[0] not in shared:
            continue
        one, other = (None if chosen is None else chosen.value for chosen in (before, after))
        if before is None or after is None or one != other:
            yield RuleChange(key[0], f"setting {key[1]}", _text(one), _text(other))
        elif before.setting.tighter is not after.setting.tighter:
            tighter = before.setting.tighter.value, after.setting.tighter.value
            yield RuleChange(key[0], f"what tightens the setting {key[1]}", *tighter)


def _text(value: object) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)


def count_by_rule(changes: Iterable[Change]) -> dict[RuleId, tuple[int, int, int]]:
    """Return for each rule how many violations came, went, and are weighed differently."""
    counts: dict[RuleId, list[int]] = defaultdict(lambda: [0, 0, 0])
    for change in changes:
        for violation in change.come:
            counts[violation.rule][0] += 1
        for violation in change.gone:
            counts[violation.rule][1] += 1
        for _, after in change.weighed:
            counts[after.rule][2] += 1
    return {rule: (found[0], found[1], found[2]) for rule, found in sorted(counts.items())}
