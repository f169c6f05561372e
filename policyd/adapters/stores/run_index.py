"""The tables of runs and stages: quick answers made from the log, never evidence.

The rows are what `policyd.record.runs` makes of the events; here they are only read and written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from policyd.models.base import RunId
from policyd.models.records import Event
from policyd.record.runs import (
    RUNNING,
    RunIndex,
    RunSummary,
    StageKey,
    StageSummary,
    apply_to_run,
    apply_to_stage,
    find_stage_key,
)


def index_event(connection: sqlite3.Connection, number: int, event: Event) -> None:
    """Take entry `number` into the index, inside the caller's transaction."""
    if event.run_id is None:
        return
    connection.execute("INSERT INTO run_entries (run_id, number) VALUES (?, ?)", (event.run_id, number))
    run = apply_to_run(find_run(connection, event.run_id), event)
    if run is not None:
        connection.execute(
            "INSERT INTO runs (run_id, state, summary) VALUES (?, ?, ?) "
            "ON CONFLICT (run_id) DO UPDATE SET state = excluded.state, summary = excluded.summary",
            (run.run_id, run.state, run.model_dump_json()),
        )
    key = find_stage_key(event)
    if key is not None:
        stage = apply_to_stage(_find_stage(connection, key), event)
        if stage is not None:
            connection.execute(
                "INSERT INTO stages (run_id, name, attempt, summary) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (run_id, name, attempt) DO UPDATE SET summary = excluded.summary",
                (*key, stage.model_dump_json()),
            )


def clear_index(connection: sqlite3.Connection) -> None:
    """Empty the index, inside the caller's transaction."""
    for statement in ("DELETE FROM runs", "DELETE FROM stages", "DELETE FROM run_entries"):
        connection.execute(statement)


def find_run(connection: sqlite3.Connection, run_id: RunId) -> RunSummary | None:
    """Return the run, None if the index has none of that id."""
    row = connection.execute("SELECT summary FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    return None if row is None else RunSummary.model_validate_json(row[0])


def find_run_ids(connection: sqlite3.Connection, prefix: str, limit: int) -> tuple[RunId, ...]:
    """Return up to `limit` ids of runs that start with `prefix`."""
    rows = connection.execute(
        "SELECT run_id FROM runs WHERE substr(run_id, 1, ?) = ? LIMIT ?", (len(prefix), prefix, limit)
    )
    return tuple(row[0] for row in rows)


def list_runs(connection: sqlite3.Connection, limit: int) -> tuple[RunSummary, ...]:
    """Return the last `limit` runs, the latest first."""
    rows = connection.execute("SELECT summary FROM runs ORDER BY place DESC LIMIT ?", (limit,))
    return tuple(RunSummary.model_validate_json(row[0]) for row in rows)


def list_running(connection: sqlite3.Connection) -> tuple[RunSummary, ...]:
    """Return the runs that started and did not end, in order."""
    rows = connection.execute("SELECT summary FROM runs WHERE state = ? ORDER BY place", (RUNNING,))
    return tuple(RunSummary.model_validate_json(row[0]) for row in rows)


def list_stages(connection: sqlite3.Connection, run_id: RunId) -> tuple[StageSummary, ...]:
    """Return the stages of a run in the order in which the log first names them."""
    rows = connection.execute("SELECT summary FROM stages WHERE run_id = ? ORDER BY place", (run_id,))
    return tuple(StageSummary.model_validate_json(row[0]) for row in rows)


def list_entry_numbers(connection: sqlite3.Connection, run_id: RunId) -> tuple[int, ...]:
    """Return the numbers of the entries that speak of a run."""
    rows = connection.execute("SELECT number FROM run_entries WHERE run_id = ? ORDER BY number", (run_id,))
    return tuple(row[0] for row in rows)


def differs(connection: sqlite3.Connection, expected: RunIndex) -> bool:
    """Say whether the index is not what the log's events make."""
    runs: Iterable[tuple[str]] = connection.execute("SELECT summary FROM runs ORDER BY place")
    stages: Iterable[tuple[str]] = connection.execute("SELECT summary FROM stages ORDER BY place")
    return [row[0] for row in runs] != [run.model_dump_json() for run in expected.runs.values()] or [
        row[0] for row in stages
    ] != [stage.model_dump_json() for stage in expected.stages.values()]


def _find_stage(connection: sqlite3.Connection, key: StageKey) -> StageSummary | None:
    row = connection.execute("SELECT summary FROM stages WHERE run_id = ? AND name = ? AND attempt = ?", key).fetchone()
    return None if row is None else StageSummary.model_validate_json(row[0])
