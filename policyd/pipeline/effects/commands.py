"""What a command does."""

from __future__ import annotations

from collections.abc import Iterator

from policyd.pipeline.effects.found import FoundEffect
from policyd.pipeline.shell import ShellCommand


def find_command_effects(
    command: ShellCommand, *, tainted: frozenset[str] = frozenset(), secrets: frozenset[str] = frozenset()
) -> Iterator[FoundEffect]:
    """Yield what `command` does; `tainted` and `secrets` are variables with an outsider's text or a secret."""
    yield from ()
