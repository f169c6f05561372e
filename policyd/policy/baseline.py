"""Which violations a baseline knows. Pure; the decision itself is never altered.

A decision says what the gate would say. Beside it stands which of its violations were known before: `policyd check`
then answers for the new ones, and everybody can see that a run would still be denied.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from policyd.models.baseline import Baseline, KnownViolation
from policyd.models.decision import Decision, Effect, Level, Violation


@dataclass(frozen=True, slots=True)
class Compared:
    """What a baseline says of several decisions: the known violations of each, by index, and what is gone."""

    known: tuple[frozenset[int], ...]
    gone: tuple[KnownViolation, ...]


def make_baseline(judged: Iterable[tuple[str, Decision]]) -> Baseline:
    """Return the baseline of all that denies, now or from its rule's date on. `judged` has each file's decision."""
    counted = Counter(
        _key(file, violation) for file, decision in judged for violation in decision.violations if _counts(violation)
    )
    entries = [_counted(key, count) for key, count in counted.items()]
    return Baseline(known=tuple(sorted(entries, key=lambda entry: entry.model_dump_json())))


def compare(baseline: Baseline, judged: Sequence[tuple[str, Decision]], *, missing: Iterable[str] = ()) -> Compared:
    """Return which violations of `judged` the baseline knows, and which of its entries match nothing any more.

    An entry counts as gone if its file was judged, or is one of `missing`: of other files nothing can be said.
    """
    left: Counter[KnownViolation] = Counter()
    for entry in baseline.known:
        left[_counted(entry, 1)] += entry.count
    known: list[frozenset[int]] = []
    for file, decision in judged:
        found: set[int] = set()
        for index, violation in enumerate(decision.violations):
            key = _key(file, violation)
            # Each entry covers as many as there were: the third copy of what stood there twice is new.
            if _counts(violation) and left[key] > 0:
                left[key] -= 1
                found.add(index)
        known.append(frozenset(found))
    looked_at = {file for file, _ in judged} | set(missing)
    gone = [_counted(key, count) for key, count in left.items() if count and key.file in looked_at]
    return Compared(tuple(known), tuple(gone))


def _counts(violation: Violation) -> bool:
    return violation.level is not Level.ADVISORY and violation.effect is not Effect.WAIVED


def _key(file: str, violation: Violation) -> KnownViolation:
    part = violation.part_sha256
    return KnownViolation(
        rule=violation.rule, file=file, part_sha256=part, message=violation.message if part is None else None
    )


def _counted(entry: KnownViolation, count: int) -> KnownViolation:
    return entry.model_copy(update={"count": count})
