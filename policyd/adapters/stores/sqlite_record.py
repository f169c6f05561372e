"""The record in SQLite: an append is durable when it returns, or it did not happen.

One transaction holds the entries, the hashes they complete, the new checkpoint and the index. What the log is and what
may be signed is decided in `policyd.record.log`; here are only tables, locks and transactions.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from policyd.adapters.stores import run_index
from policyd.adapters.stores.database import create_database, open_database, transaction, translated
from policyd.adapters.stores.state import RecordState
from policyd.attestation.signing import Signer
from policyd.errors import DocumentError, RecordError, SignatureInvalid, StoreError, UsageError
from policyd.models.records import Event
from policyd.record.checkpoint import VerifiedCheckpoint, log_fingerprint, log_key, verify_checkpoint
from policyd.record.entries import read_entry, render_entry
from policyd.record.log import InclusionProof, Log, StoredHead
from policyd.record.merkle import NodeId, inclusion_spans, prove
from policyd.record.note import NoteKey
from policyd.record.runs import LoggedEvent, RunIndex, RunSummary, RunView, settle_stages
from policyd.record.verify import FIX

MAX_RUNS = 10_000  # what one listing returns at most
MIN_PREFIX = 4  # characters that name a run


@dataclass(frozen=True, slots=True)
class Receipt:
    """That events are recorded: as entries from `first_index` on, in a log that `size` entries has since."""

    first_index: int
    size: int


class SqliteRecord:
    """The record at one path, for reading until it has a signer. Any thread may use it."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._tables = _Tables(connection)
        self._lock = threading.RLock()
        self._signing: tuple[_Signing, Log] | None = None

    def append(self, events: Sequence[Event]) -> Receipt:
        """Record `events`, all or none, durable on return.

        Raises `StoreError` if they can't be written, `RecordError` if the record is not what was signed last.
        """
        _, log = self._require_signing()
        entries = [render_entry(event) for event in events]
        if not entries:
            raise StoreError("nothing was given to record", where=str(self._path), fix="name at least one event")
        with self._lock:
            with transaction(self._connection, self._path, write=True):
                head = self._tables.head()
                checkpoint = log.append(entries, head)
                self._tables.set_head(checkpoint)
                for number, event in enumerate(events, head.size):
                    run_index.index_event(self._connection, number, event)
                self._tables.set_indexed(head.size, checkpoint.size)
            log.remember(checkpoint)
        return Receipt(first_index=head.size, size=checkpoint.size)

    def checkpoint(self) -> str:
        """Return the signed checkpoint of the record as it is now, after keeping it outside the store.

        Raises `RecordError` for an empty record: it has signed nothing yet.
        """
        signing, log = self._require_signing()
        for _ in range(16):  # as many policyds at once may step in between before this gives up
            kept = signing.find_kept(signing.key)
            with self._lock, transaction(self._connection, self._path, write=False):
                current = log.verify_head(self._tables.head())
                if current is None:
                    raise RecordError("the record is empty", where=str(self._path), fix="record an event first")
                if kept is not None:
                    log.verify_extends(kept, current)
            if kept is not None and kept.note == current.note:
                return current.note
            if signing.state.remember(current, signing.signer.key_sha256, kept=kept):
                return current.note
        raise StoreError(
            "other policyds kept changing the kept checkpoint",
            where=str(self._path),
            fix="try again with fewer at once",
        )

    def prove_inclusion(self, index: int) -> InclusionProof:
        """Return the proof that entry `index` is in the record, to its last checkpoint.

        It is only a claim until `verify_inclusion` and `verify_checkpoint` accept it.
        """
        with self._lock, transaction(self._connection, self._path, write=False):
            head = self._tables.head()
            if head.note is None or not 0 <= index < head.size:
                raise UsageError(
                    f"the record has no entry {index}",
                    where=str(self._path),
                    fix=f"name an entry from 0 to {head.size - 1}",
                )
            hashes = prove(inclusion_spans(index, head.size), self._tables.hashes)
        return InclusionProof(index=index, size=head.size, hashes=hashes, note=head.note)

    def list_runs(self, *, limit: int = MAX_RUNS) -> tuple[RunSummary, ...]:
        """Return the last `limit` runs, the latest first."""
        with self._indexed():
            return run_index.list_runs(self._connection, limit)

    def list_running(self) -> tuple[RunSummary, ...]:
        """Return the runs that started and did not end, in order."""
        with self._indexed():
            return run_index.list_running(self._connection)

    def require_run(self, name: str) -> RunView:
        """Return the run with this id, or the only one whose id starts with `name`. Raises `UsageError` if none is."""
        where = str(self._path)
        if len(name) < MIN_PREFIX:
            raise UsageError(f"{name!r} is too short to name a run", where=where, fix="give more of its id")
        with self._indexed():
            found = run_index.find_run_ids(self._connection, name, 2)
            if len(found) != 1:
                cause = f"{'more than one run starts' if found else 'no run starts'} with {name[:64]!r}"
                raise UsageError(cause, where=where, fix="`policyd runs` lists their ids")
            run = run_index.find_run(self._connection, found[0])
            assert run is not None
            stages = run_index.list_stages(self._connection, run.run_id)
            numbers = run_index.list_entry_numbers(self._connection, run.run_id)
            events = tuple(LoggedEvent(number=number, event=self._tables.event(number)) for number in numbers)
        return RunView(run=run, stages=settle_stages(run, stages), events=events)

    @contextmanager
    def snapshot(self) -> Iterator[_Tables]:
        """Hold one unchanging view of the log for the block: what `verify_log` and the tiles read."""
        with self._lock, transaction(self._connection, self._path, write=False):
            yield self._tables

    def index_differs(self, expected: RunIndex) -> bool:
        """Say whether the index is not what `expected` was made of."""
        with self._lock, translated(self._path):
            return run_index.differs(self._connection, expected)

    def rebuild_index(self) -> None:
        """Make the index again from the log's entries."""
        with self._lock, transaction(self._connection, self._path, write=True):
            size = self._tables.head().size
            run_index.clear_index(self._connection)
            for number, entry in self._tables.entries():
                run_index.index_event(self._connection, number, read_entry(entry, number))
            self._tables.set_indexed(self._tables.indexed(), size)

    def close(self) -> None:
        """Let go of the database."""
        with self._lock, translated(self._path):
            self._connection.close()

    def start_signing(self, signing: _Signing) -> None:
        """Make the record ready to append. Raises `RecordError` unless it extends the checkpoint kept of it."""
        log = Log(self._tables, signing.key, signing.signer.sign, earlier=signing.earlier)
        # Kept checkpoints are read first: read last, they could be of entries that came after this look at the log.
        for key in (signing.key, *signing.earlier):
            kept = signing.find_kept(key)
            if kept is not None:
                log.remember(kept)
        with self._lock, transaction(self._connection, self._path, write=False):
            head = self._tables.head()
            current = log.verify_head(head)
            stale = self._tables.indexed() != head.size
        if current is not None:
            log.remember(current)
        if stale:
            self.rebuild_index()
        self._signing = signing, log

    def _require_signing(self) -> tuple[_Signing, Log]:
        if self._signing is None:
            raise UsageError(
                "the store was opened for reading only",
                where=str(self._path),
                fix="writing the record needs the log's private key: keys.log in the operator settings",
            )
        return self._signing

    @contextmanager
    def _indexed(self) -> Iterator[None]:
        """Hold an unchanging view with an index that covers the log; where it does not, and can't be mended, refuse."""
        with self._lock, transaction(self._connection, self._path, write=False):
            if self._tables.indexed() != self._tables.head().size:
                raise StoreError(
                    "the index of runs does not cover the record",
                    where=str(self._path),
                    fix="any `policyd run` makes it again from the log",
                )
            yield


def open_record(path: Path) -> SqliteRecord:
    """Return the record at `path` for reading; needs no key and no write access."""
    return SqliteRecord(path, open_database(path))


def create_record(path: Path, signer: Signer, state: RecordState, *, earlier: Sequence[NoteKey] = ()) -> SqliteRecord:
    """Return the record at `path`, made if it is not there, for appending what `signer` signs.

    `earlier` are keys that signed this log before; the checkpoints kept under them count as before.

    Raises `RecordError` if it contradicts its last checkpoint or the one that `state` keeps of it, `KeyUnusable`
    unless the signer's key is Ed25519.
    """
    key = log_key(signer.public_key_pem)
    signing = _Signing(signer, state, key, tuple(one for one in earlier if one != key))
    record = SqliteRecord(path, create_database(path))
    try:
        record.start_signing(signing)
    except BaseException:
        record.close()
        raise
    return record


@dataclass(frozen=True, slots=True)
class _Signing:
    """Who signs the log, and where its last checkpoint is kept."""

    signer: Signer
    state: RecordState
    key: NoteKey
    earlier: tuple[NoteKey, ...] = ()

    def find_kept(self, key: NoteKey) -> VerifiedCheckpoint | None:
        """Return the checkpoint kept under one of this log's keys.

        Raises `RecordError` if there is one that can't be used.
        """
        kept = self.state.find(log_fingerprint(key))
        if kept is None:
            return None
        try:
            return verify_checkpoint(kept.note, [self.key, *self.earlier])
        except (DocumentError, SignatureInvalid) as error:
            raise RecordError(
                f"the checkpoint kept of this log can't be used: {error.cause}",
                where=kept.source,
                fix="put that file back from a copy: without it an old store put back does not show",
            ) from error


class _Tables:
    """The log's tables inside whatever transaction the connection is in."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def head(self) -> StoredHead:
        """Return the size of the log and its last checkpoint."""
        row = self._connection.execute("SELECT size, checkpoint FROM head").fetchone()
        if row is None or row[0] < 0:
            raise RecordError("the record has lost its head", where="table head", fix=FIX)
        return StoredHead(size=row[0], note=row[1])

    def entries(self) -> Iterator[tuple[int, bytes]]:
        """Yield every entry with its number, in order."""
        yield from self._connection.execute("SELECT number, content FROM entries ORDER BY number")

    def hashes(self, nodes: Sequence[NodeId]) -> list[bytes]:
        """Return the hashes of complete subtrees in the order asked."""
        return [self._hash(node) for node in nodes]

    def add(self, first: int, entries: Sequence[bytes], nodes: Sequence[tuple[NodeId, bytes]]) -> None:
        """Insert entries and hashes; one that is there already is an error, never replaced."""
        self._connection.executemany("INSERT INTO entries (number, content) VALUES (?, ?)", enumerate(entries, first))
        self._connection.executemany(
            "INSERT INTO nodes (level, number, hash) VALUES (?, ?, ?)", ((*node, hashed) for node, hashed in nodes)
        )

    def set_head(self, checkpoint: VerifiedCheckpoint) -> None:
        """Say how long the log is and who signed that."""
        self._connection.execute("UPDATE head SET size = ?, checkpoint = ?", (checkpoint.size, checkpoint.note))

    def indexed(self) -> int:
        """Return how many entries the index covers."""
        row = self._connection.execute("SELECT indexed FROM head").fetchone()
        return 0 if row is None else int(row[0])

    def set_indexed(self, before: int, size: int) -> None:
        """Say that the index covers `size` entries, if it covered `before`; a gap stays one."""
        self._connection.execute("UPDATE head SET indexed = ? WHERE indexed = ?", (size, before))

    def event(self, number: int) -> Event:
        """Return the event of an entry."""
        row = self._connection.execute("SELECT content FROM entries WHERE number = ?", (number,)).fetchone()
        if row is None:
            raise RecordError(f"entry {number} is missing", where=f"record entry {number}", fix=FIX)
        return read_entry(row[0], number)

    def entry_range(self, first: int, stop: int) -> list[bytes]:
        """Return the entries from `first` up to, not including, `stop`."""
        rows = self._connection.execute(
            "SELECT content FROM entries WHERE number >= ? AND number < ? ORDER BY number", (first, stop)
        )
        return [row[0] for row in rows]

    def _hash(self, node: NodeId) -> bytes:
        row = self._connection.execute("SELECT hash FROM nodes WHERE level = ? AND number = ?", node).fetchone()
        if row is None:
            raise RecordError("a hash of the record is missing", where=f"subtree {node[1]} of level {node[0]}", fix=FIX)
        return bytes(row[0])
