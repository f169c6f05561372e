"""What has to hold before something happens, joined: guards by the ways in which a pipeline can start.

`None` stands for what can't happen at all. What is joined by *and* adds up; of what is joined by *or* only what all
sides ask for that can hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

Way = TypeVar("Way", bound=str)  # an event, or a kind of build
Asked = TypeVar("Asked", bound=str)  # a guard


def all_of(sides: Iterable[frozenset[Asked] | None]) -> frozenset[Asked] | None:
    """Return what is asked for where all sides hold."""
    joined: frozenset[Asked] = frozenset()
    for side in sides:
        if side is None:
            return None
        joined |= side
    return joined


def any_of(sides: Iterable[frozenset[Asked] | None]) -> frozenset[Asked] | None:
    """Return what is asked for where one of the sides holds, whichever it is."""
    possible = [side for side in sides if side is not None]
    return frozenset.intersection(*possible) if possible else None


def with_guard(reach: Mapping[Way, frozenset[Asked]], guard: Asked) -> dict[Way, frozenset[Asked]]:
    """Return `reach` where `guard` is asked for as well."""
    return {way: guards | {guard} for way, guards in reach.items()}
