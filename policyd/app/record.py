"""The record's use cases: verify it, list runs, show one, export the log. All of them only read the store."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from policyd.adapters.stores.content import ContentStore
from policyd.adapters.stores.state import RecordState, require_apart
from policyd.adapters.stores.store import Store, open_store
from policyd.adapters.stores.tile_folder import write_tiles
from policyd.attestation.moments import require_not_behind
from policyd.errors import PolicydError, StoreError
from policyd.models.base import Model, Sha256
from policyd.models.records import Event, EventKind
from policyd.models.trust import Role, TrustPolicy
from policyd.record.checkpoint import log_fingerprint, log_key, verify_checkpoint
from policyd.record.entries import render_entry
from policyd.record.merkle import inclusion_spans, leaf_hash, prove, verify_inclusion
from policyd.record.note import NoteKey
from policyd.record.runs import RunSummary, RunView
from policyd.record.verify import (
    ROLLBACK_NOT_DETECTABLE,
    EvidenceProblem,
    KeptCheckpoint,
    RecordReport,
    VerifiedLog,
    verify_log,
)

DEFAULT_RUNS = 50
MAX_MANIFEST_BYTES = 16 * 1024 * 1024  # 1,000 stages with ten products each take 4 MiB


class TileExport(Model):
    """A log written as tiles."""

    folder: str
    size: int
    files: int  # new ones; an earlier export in the same folder is only added to


def log_keys(trust: TrustPolicy) -> tuple[NoteKey, ...]:
    """Return the keys that the trust policy lists for the role `log`; empty if it lists none.

    Raises `KeyUnusable` if one is not Ed25519.
    """
    role = trust.roles.get(Role.LOG)
    return () if role is None else tuple(log_key(key.public_key) for key in role.keys)


def verify_record(
    root: Path,
    state: Path,
    keys: Sequence[NoteKey],
    *,
    checkpoints: Mapping[str, str] | None = None,
) -> RecordReport:
    """Verify the record of the store at `root` and all evidence that it names.

    `keys` come from the trust policy, `checkpoints` (name to note) are further ones that somebody kept outside the
    store. Missing or damaged evidence is in the report. Raises `RecordError` if the record contradicts itself or
    a checkpoint: it was cut, changed, reordered or put back to an older state.
    """
    # 1. Checkpoints kept outside are read before the log: read after it, they could be of entries that it got since.
    require_apart(state, root)
    kept, notes = _read_kept(RecordState(state), keys)
    kept += [KeptCheckpoint(source=name, note=note, outside=True) for name, note in (checkpoints or {}).items()]

    with open_store(root, state) as store:
        # 2. The log is recomputed from its entries and compared with every checkpoint.
        with store.record.snapshot() as stored:
            log = verify_log(stored, kept, keys, lambda event: _find_embedded(store.content, event))
        if store.record.index_differs(log.index):
            notes.append("the index of runs differs from the log: run lists may be wrong, verification is not")

        # 3. Evidence that entries name is there and has the digest they name.
        problems = tuple(_find_evidence_problems(store.content, log.evidence))

    return _report(log, problems, notes)


def list_runs(root: Path, state: Path, *, limit: int = DEFAULT_RUNS) -> tuple[RunSummary, ...]:
    """Return the last `limit` runs, the latest first."""
    with open_store(root, state) as store:
        return store.list_runs(limit=limit)


def show_run(root: Path, state: Path, run: str) -> RunView:
    """Return the run whose id is or starts with `run`, with its stages and events. Raises `UsageError` if none is."""
    with open_store(root, state) as store:
        view = store.record.require_run(run)
        return view.model_copy(update={"run": store.settle_run(view.run)})


def export_tiles(root: Path, state: Path, keys: Sequence[NoteKey], folder: Path) -> TileExport:
    """Write the log below `folder` as C2SP tlog-tiles, after verifying it. Evidence is not looked at."""
    require_apart(state, root)
    kept, _ = _read_kept(RecordState(state), keys)
    with open_store(root, state) as store, store.record.snapshot() as stored:
        verify_log(stored, kept, keys, lambda event: ())
        size = stored.head().size
        files = write_tiles(folder, stored)
    return TileExport(folder=str(folder), size=size, files=files)


def require_clock(store: Store, keys: Sequence[NoteKey], read_clock: Callable[[], datetime]) -> datetime:
    """Return the time now if it does not lie before the record's newest entry; raise `ClockBehind` where it does.

    The entry is proved against the record's signed checkpoint: one rewritten to an earlier time is a `RecordError`.
    """
    with store.record.snapshot() as stored:
        note = stored.head().note
        if note is None:  # the log is empty
            return read_clock()
        head = verify_checkpoint(note, keys)
        newest = stored.event(head.size - 1)
        proof = prove(inclusion_spans(head.size - 1, head.size), stored.hashes)
        verify_inclusion(head.size - 1, head.size, leaf_hash(render_entry(newest)), proof, head.root)
    # Read after the record: another policyd may have written to it a moment ago.
    now = read_clock()
    require_not_behind(now, [("the newest entry of the record", newest.at)], where=f"record entry {head.size - 1}")
    return now


def require_verified_log(store: Store, state: Path, trust: TrustPolicy) -> None:
    """Raise `RecordError` where the record contradicts itself or a checkpoint kept outside; evidence is not read."""
    require_apart(state, store.root)
    kept, _ = _read_kept(store.state, log_keys(trust))
    with store.record.snapshot() as stored:
        verify_log(stored, kept, log_keys(trust), lambda event: ())


def mark_interrupted_runs(store: Store, *, at: str) -> tuple[RunSummary, ...]:
    """Record for every run whose process is gone that it was interrupted; return those runs as they were."""
    return tuple(run for run in store.find_unfinished_runs() if _mark_interrupted(store, run, at))


def _mark_interrupted(store: Store, run: RunSummary, at: str) -> bool:
    # Another policyd that starts at this moment may be at it: then it is done, and not by us.
    with suppress(StoreError):
        return store.mark_interrupted(run.run_id, at=at) is not None
    return False


def _report(log: VerifiedLog, problems: tuple[EvidenceProblem, ...], notes: list[str]) -> RecordReport:
    detectable = any(one.outside for one in log.compared)
    if not detectable:
        notes.append(ROLLBACK_NOT_DETECTABLE)
    notes += [f"not compared, no key of the trust policy signed it: checkpoint of {one}" for one in log.ignored]
    return RecordReport(
        size=log.head.size if log.head else 0,
        root=log.head.root.hex() if log.head else None,
        origin=log.head.checkpoint.origin if log.head else "",
        runs=len(log.index.runs),
        checkpoints=log.compared,
        rollback_detectable=detectable,
        evidence=len(log.evidence),
        evidence_problems=problems,
        notes=tuple(notes),
    )


def _read_kept(state: RecordState, keys: Sequence[NoteKey]) -> tuple[list[KeptCheckpoint], list[str]]:
    """Return the kept checkpoints of the logs of `keys`, and a note for each one of another log."""
    expected = {log_fingerprint(key) for key in keys}
    kept, notes = [], []
    for fingerprint in state.list_keys():
        if fingerprint not in expected:
            notes.append(f"a checkpoint is kept of another log, key {fingerprint}: not compared")
        elif (found := state.find(fingerprint)) is not None:
            kept.append(found)
    return kept, notes


def _find_evidence_problems(content: ContentStore, evidence: Mapping[Sha256, int]) -> Iterator[EvidenceProblem]:
    for sha256, entry in evidence.items():
        problem = content.find_problem(sha256)
        if problem is not None:
            yield EvidenceProblem(sha256=sha256, entry=entry, problem=problem)


def _find_embedded(content: ContentStore, event: Event) -> Iterable[KeptCheckpoint]:
    """Yield the checkpoint inside each manifest that `event` names.

    The manifest's own signature is not looked at: the checkpoint carries the log's.
    """
    if event.kind is not EventKind.MANIFEST:
        return
    for sha256 in event.evidence:
        try:
            note = _find_note(json.loads(content.get(sha256, max_bytes=MAX_MANIFEST_BYTES)))
        except (PolicydError, ValueError, RecursionError):
            continue  # missing or damaged evidence is reported as such
        if note is not None:
            yield KeptCheckpoint(source=f"run manifest sha256:{sha256}", note=note, outside=False)


def _find_note(document: object) -> str | None:
    """Return the checkpoint in a manifest, a statement of one, or a bundle with such a statement."""
    match document:
        case {"dsseEnvelope": {"payload": str(payload)}} | {"payload": str(payload)}:
            try:
                return _find_note(json.loads(base64.b64decode(payload, validate=True)))
            except (binascii.Error, ValueError):
                return None
        case {"predicate": dict(predicate)}:
            return _find_note(predicate)
        case {"checkpoint": str(note)}:
            return note
        case _:
            return None
