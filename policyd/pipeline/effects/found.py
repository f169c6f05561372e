"""An effect as it is found, before it has a place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from policyd.models.facts import EffectKind


@dataclass(frozen=True, slots=True)
class FoundEffect:
    """What something does; the fields are those of `models.facts.Effect`."""

    kind: EffectKind
    detail: str
    program: str = ""
    text: str = ""
    untrusted: bool = False
    computed: bool = False
    secret: bool = False
    confidence: Literal["high", "medium", "low"] = "high"
    start: int = -1  # of the part of the command that does it, counted from where the command begins; -1 for all of it
    end: int = -1
