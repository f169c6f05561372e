"""What the append-only record says: one event a line, written before its effect is reported."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from policyd.models.base import Model, RunId, Sha256


class EventKind(StrEnum):
    """What happened."""

    DECISION = "decision"
    RUN_STARTED = "run_started"
    STAGE_STARTED = "stage_started"
    STAGE_ENDED = "stage_ended"
    RUN_ENDED = "run_ended"
    MANIFEST = "manifest"
    SUMMARY = "summary"
    RUN_INTERRUPTED = "run_interrupted"


class Event(Model):
    """One entry of the log. `evidence` names content in the store by digest; nothing secret is ever in here."""

    policyd: Literal["event/v1"] = "event/v1"
    kind: EventKind
    at: str  # RFC 3339, UTC
    run_id: RunId | None = None
    plan_sha256: Sha256 | None = None
    pipeline: str | None = None  # its name, where a run starts
    stage: str | None = None
    attempt: int | None = None
    state: str | None = None
    verdict: str | None = None
    evidence: tuple[Sha256, ...] = ()
    detail: str = ""
