"""What the core asks of any Rego engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from policyd.models.decision import EngineRef


@dataclass(frozen=True, slots=True)
class Answer:
    """What an engine said of one entry point.

    `value` is the JSON value (sets as lists); `None` is Rego's undefined. `error` is set where the engine could not
    answer, and then `value` means nothing.
    """

    value: object | None = None
    error: str | None = None


class PolicyEngine(Protocol):
    """A Rego engine holding one policy layer: its modules and data, loaded when it was made."""

    @property
    def ref(self) -> EngineRef:
        """Name, version and, where it is an executable, digest."""

    def query(self, entrypoints: Sequence[str], document: bytes) -> Mapping[str, Answer]:
        """Answer every entry point (`policyd.injection.reverse_shell.deny`) for the input `document` (JSON bytes).

        Always has one answer for each entry point asked. A failing builtin is an error, never undefined.
        Raises `EngineError` when nothing could be asked at all (dead, timed out, unreachable).
        """
