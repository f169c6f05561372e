"""The log: appends entries to the tree and signs every state it reaches.

Each append ends in a new checkpoint, so nothing in the log is ever unsigned. And nothing is signed on trust: before
it grows, the log must be what its last checkpoint says. Who can write the storage but lacks the key can't make policyd
put its signature under a history that was changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from policyd.errors import DocumentError, RecordError, SignatureInvalid
from policyd.record.checkpoint import VerifiedCheckpoint, sign_checkpoint, verify_checkpoint
from policyd.record.merkle import (
    CompactRange,
    NodeId,
    Proof,
    consistency_spans,
    frontier,
    leaf_hash,
    prove,
    verify_consistency,
)
from policyd.record.note import NoteKey


class LogStorage(Protocol):
    """Where entries and hashes are kept. The caller makes `append` one transaction."""

    def hashes(self, nodes: Sequence[NodeId]) -> Sequence[bytes]:
        """Return the hashes of complete subtrees in the order asked; `RecordError` if one is missing."""

    def add(self, first: int, entries: Sequence[bytes], nodes: Sequence[tuple[NodeId, bytes]]) -> None:
        """Keep entries from number `first` on, and the subtrees that they complete."""


@dataclass(frozen=True, slots=True)
class StoredHead:
    """What the storage says of itself: its size, and the last checkpoint (None in a log that has no entries)."""

    size: int
    note: str | None


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """That entry `index` is in the log as `note` signed it."""

    index: int
    size: int
    hashes: Proof
    note: str


class Log:
    """One log. `sign` is None for those who only read it.

    `earlier` are keys that signed this log before `key` did: what they signed last is still held to.
    """

    def __init__(
        self,
        storage: LogStorage,
        key: NoteKey,
        sign: Callable[[bytes], bytes] | None = None,
        *,
        earlier: Sequence[NoteKey] = (),
    ) -> None:
        self._storage = storage
        self._key = key
        self._keys = (key, *earlier)
        self._sign = sign
        self._seen: VerifiedCheckpoint | None = None

    def append(self, entries: Sequence[bytes], head: StoredHead) -> VerifiedCheckpoint:
        """Add `entries` to the log that `head` describes and return the checkpoint of the result.

        Raises `RecordError` if the log is not what it was last signed to be.
        """
        if self._sign is None:
            raise RecordError(
                "the record was opened for reading", where=self._key.name, fix="open it with the log's key to append"
            )

        # 1. The log is the one that was signed last, and not older than what was seen of it.
        self.verify_head(head)

        # 2. Grow the tree from its frontier.
        nodes = frontier(head.size)
        tree = CompactRange(head.size, list(self._storage.hashes(nodes)))
        grown = [node for entry in entries for node in tree.add(leaf_hash(entry))]
        self._storage.add(head.size, entries, grown)

        # 3. Sign what it is now.
        return sign_checkpoint(tree.size, tree.root(), self._key, self._sign)

    def remember(self, checkpoint: VerifiedCheckpoint) -> None:
        """Hold the log to `checkpoint` from now on. To be called when what it signs is durable."""
        if self._seen is None or checkpoint.size > self._seen.size:
            self._seen = checkpoint

    def verify_head(self, head: StoredHead) -> VerifiedCheckpoint | None:
        """Return the log's last checkpoint, verified against key, frontier and what was seen; None if it is empty.

        Raises `RecordError`.
        """
        # 1. A log with entries has a checkpoint of exactly its size; one without has none.
        if head.note is None:
            if head.size or self._seen:
                raise _contradiction("the record has lost its checkpoint or its entries", f"record of {head.size}")
            return None
        if self._seen is not None and head.note == self._seen.note:
            signed = self._seen
        else:
            signed = _verify_own(head.note, self._keys)
        where = f"record of {head.size} entries, checkpoint at {signed.size}"
        if signed.size != head.size:
            raise _contradiction("the record does not end where its checkpoint does", where)

        # 2. The hashes that the next root is made of give the signed root.
        frontier_tree = CompactRange(head.size, list(self._storage.hashes(frontier(head.size))))
        if frontier_tree.root() != signed.root:
            raise _contradiction("the record is not the one that its checkpoint signs", where)

        # 3. It extends what this process or a kept checkpoint saw of it.
        if self._seen is not None and self._seen is not signed:
            self.verify_extends(self._seen, signed)
        return signed

    def verify_extends(self, earlier: VerifiedCheckpoint, later: VerifiedCheckpoint) -> None:
        """Verify that the log at `later` still holds all it held at `earlier`. Raises `RecordError` (a rollback)."""
        if earlier.size > later.size:
            raise _contradiction(
                f"the record has {later.size} entries, but had {earlier.size}: it was cut or an old copy was put back",
                f"checkpoints of {later.checkpoint.origin}",
            )
        proof = prove(consistency_spans(earlier.size, later.size), self._storage.hashes)
        try:
            verify_consistency(earlier.size, later.size, proof, earlier.root, later.root)
        except RecordError as error:
            raise _contradiction(
                f"the first {earlier.size} entries of the record are not those that were signed before",
                f"checkpoints of {later.checkpoint.origin}",
            ) from error


def _verify_own(note: str, keys: Sequence[NoteKey]) -> VerifiedCheckpoint:
    try:
        return verify_checkpoint(note, keys)
    except (DocumentError, SignatureInvalid) as error:
        raise _contradiction(f"the record's checkpoint is not the log key's: {error.cause}", error.where) from error


def _contradiction(cause: str, where: str) -> RecordError:
    return RecordError(
        cause,
        where=where,
        fix="keep the store as it is, find out who changed it, and put back a copy that verifies",
    )
