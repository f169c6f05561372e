"""What the store remembers: `policyd runs`, `show`, `logs` and `record`. Reads only, and trusts nothing it reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from policyd.adapters.output import read_input
from policyd.adapters.settings import Authority, require_authority
from policyd.adapters.stores.store import UNFINISHED, Store, open_store
from policyd.app.evidence import MAX_BUNDLE_BYTES
from policyd.app.record import TileExport, export_tiles, log_keys, verify_record
from policyd.attestation.bundle import read_attestation
from policyd.errors import DocumentError, PolicydError, StoreError, UsageError
from policyd.models.manifest import Manifest
from policyd.models.records import EventKind
from policyd.models.strict_json import read_json
from policyd.record.note import read_note
from policyd.record.runs import INTERRUPTED, RunSummary, RunView, settle_stages
from policyd.record.verify import RecordReport
from policyd.report.run_text import RunRow

MAX_NOTE_BYTES = 16 * 1024
MAX_LINE_BYTES = 64 * 1024  # a stage may print megabytes without a line end; they come in pieces


def list_runs(limit: int, *, settings: Path | None) -> tuple[RunSummary, ...]:
    """Return the last `limit` runs, the newest first; none where there is no store yet."""
    with _open(settings) as (store, _):
        return store.list_runs(limit=limit) if store else ()


def render_rows(runs: Iterable[RunSummary]) -> list[RunRow]:
    """Return the runs as the table shows them."""
    return [RunRow(run.run_id, run.pipeline, run.state, run.started_at) for run in runs]


def show_run(run: str, *, settings: Path | None) -> tuple[RunView, Manifest | None]:
    """Return the run whose id is or begins with `run`, and its manifest where it left one that can be read."""
    with _open(settings) as (store, _):
        view = _require_run(store, run)
        assert store is not None
        return view, find_manifest(store, view)


def find_manifest(store: Store, view: RunView) -> Manifest | None:
    """Return the manifest of a run as it is stored, unverified; None where there is none that can be read."""
    if view.run.manifest_sha256 is None:
        return None
    try:
        bundle = store.content.get(view.run.manifest_sha256, max_bytes=MAX_BUNDLE_BYTES)
        payload = read_attestation(bundle, where="manifest").payload
        statement = read_json(payload, where="manifest", max_bytes=MAX_BUNDLE_BYTES, max_depth=64)
        predicate = statement.get("predicate") if isinstance(statement, dict) else None
        from policyd.models.canonical import canonical_json

        return Manifest.model_validate_json(canonical_json(predicate))
    except (PolicydError, ValueError):
        return None


def read_logs(run: str, stage: str | None, *, settings: Path | None) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yield each stage of the run that started (or `stage` alone) with the lines of its log.

    Raises `StoreError` where a log is not what the run's manifest says it was.
    """
    with _open(settings) as (store, _):
        view = _require_run(store, run)
        assert store is not None
        run_id = view.run.run_id
        manifest = find_manifest(store, view)
        digests = (
            {record.name: record.log_sha256 for record in manifest.stages if record.log_sha256} if manifest else {}
        )
        there = store.logs.list_stages(run_id)
        stages = (stage,) if stage is not None else tuple(sorted({*there, *digests}))
        if not stages:
            raise UsageError(
                "no stage of this run started", where=f"run {run_id}", fix="`policyd show` says how it went"
            )
        for name in stages:
            if name in digests and (name not in there or store.logs.digest(run_id, name) != digests[name]):
                raise StoreError(
                    f"the log of stage {name} is missing, or not the one that the run's manifest names",
                    where=f"run {run_id}",
                    fix="the store was changed or damaged: run `policyd record verify`",
                )
            with store.logs.read(run_id, name) as file:
                yield name, iter(partial(file.readline, MAX_LINE_BYTES), b"")


def verify_own_record(checkpoints: Sequence[Path], *, settings: Path | None) -> RecordReport:
    """Verify the record of the operator's store. Raises `RecordError` where it contradicts itself or a checkpoint."""
    authority = require_authority(settings, repository=None)
    notes = {str(path): _read_checkpoint(path) for path in checkpoints}
    return verify_record(
        Path(authority.settings.store),
        Path(authority.settings.state),
        log_keys(authority.trust),
        checkpoints=notes,
    )


def export_own_record(folder: Path, *, settings: Path | None) -> TileExport:
    """Write the operator's record to `folder` as tiles, after verifying it."""
    authority = require_authority(settings, repository=None)
    return export_tiles(
        Path(authority.settings.store), Path(authority.settings.state), log_keys(authority.trust), folder
    )


def _read_checkpoint(path: Path) -> str:
    try:
        note = read_input(path, max_bytes=MAX_NOTE_BYTES).decode()
        read_note(note)
    except (UnicodeDecodeError, DocumentError) as error:
        raise UsageError("this is no checkpoint", where=str(path), fix="name a file with a signed note") from error
    return note


@contextmanager
def _open(settings: Path | None) -> Iterator[tuple[Store | None, Authority]]:
    authority = require_authority(settings, repository=None)
    root = Path(authority.settings.store)
    # `init` makes the folder; the record in it begins with the first run.
    if not (root / "record").exists():
        yield None, authority
        return
    with open_store(root, Path(authority.settings.state)) as store:
        yield store, authority


def _require_run(store: Store | None, run: str) -> RunView:
    if store is None:
        raise UsageError(f"no run starts with {run!r}", where="the store is empty", fix="run a pipeline first")
    view = store.record.require_run(run)
    if not any(logged.event.kind is EventKind.RUN_STARTED for logged in view.events):
        raise UsageError(f"no run starts with {run!r}", where="record", fix="`policyd runs` lists their ids")
    run_now = store.settle_run(view.run)
    # None of its stages goes on either, when nobody runs it any more.
    settled = run_now.model_copy(update={"state": INTERRUPTED}) if run_now.state == UNFINISHED else run_now
    return view.model_copy(update={"run": run_now, "stages": settle_stages(settled, view.stages)})
