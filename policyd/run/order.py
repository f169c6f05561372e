"""In which order stages run, and what a finished stage means for the ones that need it.

A state machine over names: no clock, no process. The runner asks `ready()`, reports `start` and `finish`, and stops
when `done`. Each stage and each edge is looked at once, so a run of n stages costs O(n + edges).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from policyd.models.manifest import StageState

FINAL = frozenset(
    {StageState.SUCCEEDED, StageState.FAILED, StageState.DENIED, StageState.SKIPPED, StageState.INTERRUPTED}
)


def sort_stages(needs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the stages so that each comes after what it needs; otherwise in the order given.

    Raises `ValueError` naming the stages of a cycle. Every need must be a key.
    """
    waiting = {name: len(set(wanted)) for name, wanted in needs.items()}
    dependents: dict[str, list[str]] = {name: [] for name in needs}
    for name, wanted in needs.items():
        for other in set(wanted):
            dependents[other].append(name)
    free = deque(name for name, count in waiting.items() if count == 0)
    ordered: list[str] = []
    while free:
        name = free.popleft()
        ordered.append(name)
        for dependent in dependents[name]:
            waiting[dependent] -= 1
            if waiting[dependent] == 0:
                free.append(dependent)
    if len(ordered) != len(needs):
        cyclic = sorted(name for name, count in waiting.items() if count > 0)
        raise ValueError(f"stages need each other in a circle: {', '.join(cyclic)}")
    return tuple(ordered)


class StageOrder:
    """The states of a run's stages. Only a stage whose needs all succeeded is ever ready."""

    def __init__(self, needs: Mapping[str, Sequence[str]]) -> None:
        """Take the stages in plan order with what each needs."""
        sort_stages(needs)
        self._needs = {name: frozenset(wanted) for name, wanted in needs.items()}
        self._missing = {name: len(wanted) for name, wanted in self._needs.items()}
        self._dependents: dict[str, list[str]] = {name: [] for name in needs}
        for name, wanted in self._needs.items():
            for other in wanted:
                self._dependents[other].append(name)
        self.states: dict[str, StageState] = dict.fromkeys(needs, StageState.PENDING)
        self.reasons: dict[str, str] = {}
        self._ready = deque(name for name, count in self._missing.items() if count == 0)
        self._open = len(needs)

    @property
    def done(self) -> bool:
        """True when every stage is in a final state."""
        return self._open == 0

    @property
    def succeeded(self) -> bool:
        """True when every stage succeeded; a run without stages did not."""
        return bool(self.states) and all(state is StageState.SUCCEEDED for state in self.states.values())

    def next_ready(self) -> str | None:
        """Return a stage that may be started now and mark it running; None while there is none."""
        while self._ready:
            name = self._ready.popleft()
            if self.states[name] is StageState.PENDING:
                self.states[name] = StageState.RUNNING
                return name
        return None

    def finish(self, name: str, state: StageState) -> tuple[str, ...]:
        """Record how a running stage ended; return the stages that are thereby skipped, in order."""
        if self.states[name] is not StageState.RUNNING:
            raise ValueError(f"stage {name} is {self.states[name]}, not running")
        if state not in FINAL or state is StageState.SKIPPED:
            raise ValueError(f"{state} is not how a running stage ends")
        self._end(name, state)
        if state is StageState.SUCCEEDED:
            for dependent in self._dependents[name]:
                self._missing[dependent] -= 1
                if self._missing[dependent] == 0:
                    self._ready.append(dependent)
            return ()
        return self._skip_dependents(name)

    def _skip_dependents(self, failed: str) -> tuple[str, ...]:
        skipped: list[str] = []
        queue = deque((dependent, failed) for dependent in self._dependents[failed])
        while queue:
            name, because = queue.popleft()
            if self.states[name] is not StageState.PENDING:
                continue
            self._end(name, StageState.SKIPPED)
            self.reasons[name] = f"needs {because}, which did not succeed"
            skipped.append(name)
            queue.extend((dependent, name) for dependent in self._dependents[name])
        return tuple(skipped)

    def _end(self, name: str, state: StageState) -> None:
        self.states[name] = state
        self._open -= 1
