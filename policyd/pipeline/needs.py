"""Which stages come before which, directly or not, and an order to read them in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def in_order(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the names so that each comes after those it needs; in the order given where that leaves a choice.

    One in a circle, which no CI system would run, comes where it stands. Every name needed is one of `needs`.
    """
    ordered: dict[str, None] = {}
    entered: set[str] = set()
    for start in needs:
        pending = [start]
        while pending:
            name = pending[-1]
            if name in ordered:
                pending.pop()
            elif name in entered:
                ordered[pending.pop()] = None
            else:
                entered.add(name)
                pending.extend(one for one in reversed(needs[name]) if one not in entered)
    return list(ordered)


def all_needs(needs: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return for each stage the stages it needs, directly or not, as a bit set in the order of `needs`.

    Bit sets, so that thousands of stages in a row cost little. Names that `needs` doesn't hold are left out. A stage in
    a circle, which no CI system would run, has at least what it names itself.
    """
    bits = {name: 1 << index for index, name in enumerate(needs)}
    known = {name: [other for other in others if other in bits] for name, others in needs.items()}
    found: dict[str, int] = {}
    entered: set[str] = set()
    for start in needs:
        pending = [start]
        while pending:
            name = pending[-1]
            if name not in entered:
                entered.add(name)
                pending.extend(other for other in known[name] if other not in entered)
                continue
            pending.pop()
            if name not in found:
                found[name] = 0
                for other in known[name]:
                    found[name] |= bits[other] | found.get(other, 0)
    return found


def purposes_needed(needs: Mapping[str, Sequence[str]], purposes: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Return for each stage the sorted purposes of all stages it needs; `needs` as for `all_needs`."""
    of_purpose: dict[str, int] = {}
    for index, name in enumerate(needs):
        for purpose in purposes[name]:
            of_purpose[purpose] = of_purpose.get(purpose, 0) | 1 << index
    return {
        name: sorted(purpose for purpose, stages in of_purpose.items() if bits & stages)
        for name, bits in all_needs(needs).items()
    }
