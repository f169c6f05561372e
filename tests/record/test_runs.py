from __future__ import annotations

from policyd.models.records import Event, EventKind
from policyd.record.runs import RunIndex, settle_stages

RUN, OTHER = "a" * 32, "b" * 32
PLAN, MANIFEST, SUMMARY = "1" * 64, "2" * 64, "3" * 64


def event(kind: EventKind, **fields: object) -> Event:
    return Event.model_validate({"kind": kind, "at": "2026-01-01T00:00:00Z", "run_id": RUN, **fields})


def index(*events: Event) -> RunIndex:
    made = RunIndex()
    for one in events:
        made.apply(one)
    return made


def test_a_whole_run_reads_from_its_events() -> None:
    made = index(
        event(EventKind.DECISION, verdict="allow", plan_sha256=PLAN),
        event(EventKind.RUN_STARTED, pipeline="demo", at="2026-01-01T00:00:01Z"),
        event(EventKind.DECISION, stage="build", verdict="allow"),
        event(EventKind.STAGE_STARTED, stage="build", attempt=1, at="2026-01-01T00:00:02Z"),
        event(EventKind.STAGE_ENDED, stage="build", attempt=1, state="failed", at="2026-01-01T00:00:03Z"),
        event(EventKind.STAGE_STARTED, stage="build", attempt=2),
        event(EventKind.STAGE_ENDED, stage="build", attempt=2, state="succeeded"),
        event(EventKind.RUN_ENDED, state="succeeded", at="2026-01-01T00:00:04Z"),
        event(EventKind.MANIFEST, evidence=(MANIFEST,)),
        event(EventKind.DECISION, verdict="deny"),
        event(EventKind.SUMMARY, evidence=(SUMMARY,)),
    )

    run = made.runs[RUN]
    assert (run.pipeline, run.state, run.verdict, run.plan_sha256) == ("demo", "succeeded", "allow", PLAN)
    assert (run.started_at, run.ended_at) == ("2026-01-01T00:00:01Z", "2026-01-01T00:00:04Z")
    assert (run.manifest_sha256, run.summary_sha256) == (MANIFEST, SUMMARY)
    first, second = made.stages.values()
    assert (first.attempt, first.state, first.verdict) == (1, "failed", "allow")
    assert (second.attempt, second.state) == (2, "succeeded")


def test_a_run_that_was_refused_has_not_started() -> None:
    made = index(event(EventKind.DECISION, verdict="deny"))

    assert (made.runs[RUN].state, made.runs[RUN].verdict) == ("checked", "deny")


def test_runs_do_not_mix() -> None:
    made = index(
        event(EventKind.RUN_STARTED),
        event(EventKind.RUN_STARTED, run_id=OTHER),
        event(EventKind.RUN_ENDED, run_id=OTHER, state="succeeded"),
    )

    assert [run.state for run in made.runs.values()] == ["running", "succeeded"]


def test_events_of_no_run_are_passed_over() -> None:
    assert not index(Event(kind=EventKind.DECISION, at="2026-01-01T00:00:00Z")).runs


def test_no_stage_is_still_running_in_an_interrupted_run() -> None:
    made = index(
        event(EventKind.RUN_STARTED),
        event(EventKind.STAGE_STARTED, stage="build", attempt=1),
        event(EventKind.RUN_INTERRUPTED),
    )

    (stage,) = settle_stages(made.runs[RUN], made.stages.values())
    assert made.runs[RUN].state == stage.state == "interrupted"
