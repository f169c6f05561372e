"""The store: content by digest, the record, tools and run locks below one folder that belongs to policyd alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from policyd.adapters.closing import Closing
from policyd.adapters.stores.content import ContentStore
from policyd.adapters.stores.run_locks import RunLock, RunLocks
from policyd.adapters.stores.sqlite_record import Receipt, SqliteRecord, create_record, open_record
from policyd.adapters.stores.stage_logs import StageLogs
from policyd.adapters.stores.state import RecordState
from policyd.adapters.strict_modes import require_safe_folder
from policyd.attestation.signing import Signer
from policyd.errors import StoreError, UsageError
from policyd.models.base import RunId
from policyd.models.records import Event, EventKind
from policyd.record.note import NoteKey
from policyd.record.runs import RUNNING, RunSummary

UNFINISHED = "unfinished"  # how a run reads that started, did not end, and whose process is gone


class Store(Closing):
    """An open store. Made by `open_store`."""

    def __init__(self, root: Path, content: ContentStore, record: SqliteRecord, state: RecordState) -> None:
        self.root = root
        self.content = content
        self.record = record
        self.state = state
        self.tools_folder = root / "tools"
        self.logs = StageLogs(root / "logs")
        self._locks = RunLocks(root / "runs")

    def close(self) -> None:
        """Let go of the record's database."""
        self.record.close()

    def lock_run(self, run_id: RunId) -> RunLock:
        """Return the lock of a run, held: taken before `run_started` is recorded, released after `run_ended`.

        Raises `StoreError` if a living policyd holds it.
        """
        return self._locks.hold(run_id)

    def list_runs(self, *, limit: int) -> tuple[RunSummary, ...]:
        """Return the last `limit` runs, the latest first; those whose process is gone read `unfinished`."""
        return tuple(self.settle_run(run) for run in self.record.list_runs(limit=limit))

    def settle_run(self, run: RunSummary) -> RunSummary:
        """Return `run` for reading: `unfinished` where the record says running and nobody runs it."""
        if run.state != RUNNING or self._locks.is_held(run.run_id):
            return run
        return run.model_copy(update={"state": UNFINISHED})

    def find_unfinished_runs(self) -> tuple[RunSummary, ...]:
        """Return the runs that started and did not end, and whose process is gone."""
        return tuple(run for run in self.record.list_running() if not self._locks.is_held(run.run_id))

    def mark_interrupted(self, run_id: RunId, *, at: str) -> Receipt | None:
        """Record that an unfinished run was interrupted; None if another policyd has just done so.

        Raises `StoreError` if the run is going on, `UsageError` if there is no such run.
        """
        with self.lock_run(run_id):
            run = self.record.require_run(run_id).run
            if run.state != RUNNING:
                return None
            event = Event(
                kind=EventKind.RUN_INTERRUPTED,
                at=at,
                run_id=run_id,
                plan_sha256=run.plan_sha256,
                detail="policyd stopped before the run ended",
            )
            return self.record.append([event])


def open_store(root: Path, state: Path, log_signer: Signer | None = None, *, earlier: Sequence[NoteKey] = ()) -> Store:
    """Return the store at `root`, whose checkpoints are kept in the folder `state` outside it.

    With the log's signer it is for writing, and made if it is not there; without, it is only read, and nothing is
    written. `earlier` are keys that signed the log before it. Raises `UnsafePermissions` if others can change it,
    `SettingsError` if `state` is not apart from it, `UsageError` if there is nothing to read, `RecordError` if the
    record contradicts a checkpoint.
    """
    if log_signer is None:
        if not root.exists():
            raise UsageError("there is no store here", where=str(root), fix="check `store` in the settings")
        require_safe_folder(root)
        record = open_record(root / "record" / "record.sqlite")
        return Store(root, ContentStore(root / "content"), record, RecordState(state))

    kept = RecordState.create(state, store=root)
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        require_safe_folder(root)
        for name in ("content", "logs", "record", "runs", "tools"):
            (root / name).mkdir(mode=0o700, exist_ok=True)
            require_safe_folder(root / name)
    except OSError as error:
        raise StoreError(
            f"the store can't be made: {(error.strerror or str(error)).lower()}",
            where=str(error.filename or root),
            fix="check `store` in the settings and who may write there",
        ) from error
    content = ContentStore.create(root / "content")
    record = create_record(root / "record" / "record.sqlite", log_signer, kept, earlier=earlier)
    return Store(root, content, record, kept)
