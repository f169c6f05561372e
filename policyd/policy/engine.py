"""What the core asks of any Rego engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from policyd.models.decision import EngineRef


@dataclass(frozen=True, slots=True)
class Answer:
    """What an engine said of one entry point.

    `value` is the JSON value (sets as lists); `None` is Rego's undefined. `error` is set where the engine could not
    answer, and then `value` means nothing.
    """

    value: object | None = None
    error: str | None = None


@runtime_checkable
class StartedEarly(Protocol):
    """An engine with a process of its own, which can read rules while its caller does something else."""

    def begin(self, entrypoints: Sequence[str]) -> None:
        """Start the process and give it what it needs for `entrypoints`; the first question says what is wrong."""

    def forget(self) -> None:
        """Let go of a process that was started before a fork, by whoever was forked: asking starts another."""


class PolicyEngine(Protocol):
    """A Rego engine holding one policy layer: its modules and data, loaded when it was made."""

    @property
    def ref(self) -> EngineRef:
        """Name, version and, where it is an executable, digest."""

    def query(
        self, entrypoints: Sequence[str], document: bytes, *, meanwhile: Callable[[], object] | None = None
    ) -> Mapping[str, Answer]:
        """Answer every entry point (`policyd.injection.reverse_shell.deny`) for the input `document` (JSON bytes).

        Always has one answer for each entry point asked. A failing builtin is an error, never undefined.
        An engine in another process may call `meanwhile` once while that works; one that does not need not.
        Raises `EngineError` when nothing could be asked at all (dead, timed out, unreachable).
        """
