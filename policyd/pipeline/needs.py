"""Which stages come before which, directly or not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def all_needs(needs: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return for each stage the stages it needs, directly or not, as a bit set in the order of `needs`.

    `needs` has no circle and names only its own keys. Bit sets, so that thousands of stages in a row cost little.
    """
    bits = {name: 1 << index for index, name in enumerate(needs)}
    found: dict[str, int] = {}
    for start in needs:
        pending = [start]
        while pending:
            name = pending[-1]
            waiting = [other for other in needs[name] if other not in found]
            if waiting and name not in found:
                pending.extend(waiting)
                continue
            pending.pop()
            if name not in found:
                found[name] = 0
                for other in needs[name]:
                    found[name] |= bits[other] | found[other]
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
