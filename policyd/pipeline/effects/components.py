"""What components do."""
from __future__ import annotations

from collections.abc import Iterator, Mapping

from policyd.pipeline.effects.found import FoundEffect


def find_component_effects(kind: str, owner: str, name: str, inputs: Mapping[str, str]) -> Iterator[FoundEffect]:
    """Yield."""
    yield from ()
