"""What the commands of a script do."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from policyd.pipeline.effects.found import FoundEffect
from policyd.pipeline.shell import ShellCommand


@dataclass
class CommandEffects:
    """What one command does."""
    reads_untrusted: list[str] = field(default_factory=list)
    reads_secrets: list[str] = field(default_factory=list)
    effects: list[FoundEffect] = field(default_factory=list)
def find_script_effects(commands: Sequence[ShellCommand], *, shell: str = "bash", tainted: frozenset[str] = frozenset(), secrets: frozenset[str] = frozenset()) -> list[CommandEffects]:
    """Return."""
    return [CommandEffects(sorted(command.reads & tainted), sorted(command.reads & secrets)) for command in commands]
def find_command_effects(command: ShellCommand, *, tainted: frozenset[str] = frozenset(), secrets: frozenset[str] = frozenset()) -> Iterator[FoundEffect]:
    """Yield."""
    yield from ()
