"""Runs and stages as the log's events tell them. An index is made of these; the log alone is evidence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, assert_never

from policyd.models.base import Model, RunId, Sha256
from policyd.models.records import Event, EventKind

#: States of a run that no event names with a word of its own.
CHECKED = "checked"  # a decision was made, nothing has started
RUNNING = "running"
INTERRUPTED = "interrupted"

StageKey = tuple[RunId, str, int]


class RunSummary(Model):
    """A run at a glance. `state` is `checked`, `running`, `interrupted`, or what the run ended with."""

    run_id: RunId
    pipeline: str = ""
    plan_sha256: Sha256 | None = None
    state: str
    verdict: str | None = None  # of the check gate
    started_at: str
    ended_at: str | None = None
    manifest_sha256: Sha256 | None = None
    summary_sha256: Sha256 | None = None


class StageSummary(Model):
    """One attempt of a stage at a glance."""

    name: str
    attempt: int
    state: str
    verdict: str | None = None  # of the admit gate
    started_at: str | None = None
    ended_at: str | None = None


class LoggedEvent(Model):
    """An event with its number in the log."""

    number: int
    event: Event


class RunView(Model):
    """A run with its stages and everything the log says of it."""

    policyd: Literal["run-view/v1"] = "run-view/v1"
    run: RunSummary
    stages: tuple[StageSummary, ...]
    events: tuple[LoggedEvent, ...]


def apply_to_run(run: RunSummary | None, event: Event) -> RunSummary | None:
    """Return what `run` is after `event`, None where the event belongs to no run."""
    if event.run_id is None:
        return None
    if run is None:
        run = RunSummary(run_id=event.run_id, state=CHECKED, started_at=event.at)
    changes: dict[str, object] = {}
    if run.plan_sha256 is None and event.plan_sha256 is not None:
        changes["plan_sha256"] = event.plan_sha256
    if not run.pipeline and event.pipeline:
        changes["pipeline"] = event.pipeline
    match event.kind:
        case EventKind.DECISION:
            # Only the first one without a stage is the check; the release decision comes when the run has ended.
            if event.stage is None and run.verdict is None and run.ended_at is None:
                changes["verdict"] = event.verdict
        case EventKind.RUN_STARTED:
            changes |= {"state": RUNNING, "started_at": event.at}
        case EventKind.RUN_ENDED:
            changes |= {"state": event.state or "ended", "ended_at": event.at}
        case EventKind.RUN_INTERRUPTED:
            changes |= {"state": INTERRUPTED, "ended_at": event.at}
        case EventKind.MANIFEST:
            changes["manifest_sha256"] = event.evidence[0] if event.evidence else None
        case EventKind.SUMMARY:
            changes["summary_sha256"] = event.evidence[0] if event.evidence else None
        case EventKind.STAGE_STARTED | EventKind.STAGE_ENDED:
            pass
        case _:
            assert_never(event.kind)
    return run.model_copy(update=changes)


def find_stage_key(event: Event) -> StageKey | None:
    """Return which attempt of which stage `event` speaks of; an event without an attempt means the first."""
    if event.run_id is None or event.stage is None:
        return None
    return event.run_id, event.stage, event.attempt or 1


def apply_to_stage(stage: StageSummary | None, event: Event) -> StageSummary | None:
    """Return what `stage` is after `event`, None where the event belongs to no stage."""
    key = find_stage_key(event)
    if key is None:
        return None
    if stage is None:
        stage = StageSummary(name=key[1], attempt=key[2], state="pending")
    match event.kind:
        case EventKind.DECISION:
            return stage.model_copy(update={"verdict": event.verdict})
        case EventKind.STAGE_STARTED:
            return stage.model_copy(update={"state": RUNNING, "started_at": event.at})
        case EventKind.STAGE_ENDED:
            return stage.model_copy(update={"state": event.state or "ended", "ended_at": event.at})
        case (
            EventKind.RUN_STARTED
            | EventKind.RUN_ENDED
            | EventKind.RUN_INTERRUPTED
            | EventKind.MANIFEST
            | EventKind.SUMMARY
        ):
            return stage
        case _:
            assert_never(event.kind)


def settle_stages(run: RunSummary, stages: Iterable[StageSummary]) -> tuple[StageSummary, ...]:
    """Return the stages of `run` for reading: none is still running in a run that was interrupted."""
    if run.state != INTERRUPTED:
        return tuple(stages)
    return tuple(
        stage.model_copy(update={"state": INTERRUPTED}) if stage.state == RUNNING else stage for stage in stages
    )


class RunIndex:
    """Runs and stages in memory, in the order in which the log first names them."""

    def __init__(self) -> None:
        self.runs: dict[RunId, RunSummary] = {}
        self.stages: dict[StageKey, StageSummary] = {}

    def apply(self, event: Event) -> None:
        """Take in the next event of the log."""
        if event.run_id is None:
            return
        run = apply_to_run(self.runs.get(event.run_id), event)
        if run is not None:
            self.runs[event.run_id] = run
        key = find_stage_key(event)
        if key is not None:
            stage = apply_to_stage(self.stages.get(key), event)
            if stage is not None:
                self.stages[key] = stage
