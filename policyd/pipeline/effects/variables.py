"""What setting a variable does."""

from __future__ import annotations

from collections.abc import Iterator

from policyd.pipeline.effects.found import FoundEffect


def find_variable_effects(name: str, value: str) -> Iterator[FoundEffect]:
    """Yield what setting the variable `name` to `value` does."""
    yield from ()
