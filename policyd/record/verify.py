"""Verifies a whole record from its bytes: what it says of itself counts for nothing until it is recomputed.

A log can prove that nothing in it was changed since a checkpoint; that it was not put back to an older state as a whole
shows only against a checkpoint that did not go back with it. So checkpoints are told apart by whether they were
kept outside the store, and where there is none the report says that a rollback would not show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from policyd.errors import DocumentError, RecordError, SignatureInvalid, UsageError
from policyd.models.base import Model, Sha256
from policyd.models.records import Event
from policyd.record.checkpoint import VerifiedCheckpoint, verify_checkpoint
from policyd.record.entries import read_entry
from policyd.record.log import StoredHead
from policyd.record.merkle import EMPTY_ROOT, CompactRange, NodeId, leaf_hash
from policyd.record.note import NoteKey
from policyd.record.runs import RunIndex

ROLLBACK_NOT_DETECTABLE = "rollback not detectable: no checkpoint was kept outside the store"
FIX = "keep the store as it is, find out who changed it, and put back a copy that verifies"


class StoredLog(Protocol):
    """One unchanging view of a stored log."""

    def head(self) -> StoredHead:
        """Return its size and last checkpoint."""

    def entries(self) -> Iterable[tuple[int, bytes]]:
        """Yield every stored entry with its number, in order."""

    def hashes(self, nodes: Sequence[NodeId]) -> Sequence[bytes]:
        """Return the stored hashes of complete subtrees; `RecordError` if one is missing."""


@dataclass(frozen=True, slots=True)
class KeptCheckpoint:
    """A checkpoint somebody kept. `source` says where, for people; `outside` whether that is out of the store."""

    source: str
    note: str
    outside: bool


class EvidenceProblem(Model):
    """Evidence that an entry names and the store can't show."""

    sha256: Sha256
    entry: int
    problem: Literal["missing", "damaged"]


class ComparedCheckpoint(Model):
    """A kept checkpoint that the record agrees with."""

    source: str
    size: int
    outside: bool


class RecordReport(Model):
    """A record that contradicts neither itself nor any checkpoint. Built by `verify_log` and what follows it."""

    policyd: Literal["record-report/v1"] = "record-report/v1"
    size: int
    root: Sha256 | None  # None for a record without entries
    origin: str
    runs: int
    checkpoints: tuple[ComparedCheckpoint, ...]
    rollback_detectable: bool
    evidence: int  # distinct digests that entries name
    evidence_problems: tuple[EvidenceProblem, ...]
    notes: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """True if all evidence is there and intact."""
        return not self.evidence_problems


@dataclass(frozen=True, slots=True)
class VerifiedLog:
    """What `verify_log` found good: head, checkpoints compared, runs, and which entry first names which evidence.

    `ignored` are the sources of embedded checkpoints that no expected key signed.
    """

    head: VerifiedCheckpoint | None
    compared: tuple[ComparedCheckpoint, ...]
    index: RunIndex
    evidence: dict[Sha256, int]
    ignored: tuple[str, ...]


def verify_log(
    stored: StoredLog,
    kept: Sequence[KeptCheckpoint],
    keys: Sequence[NoteKey],
    find_embedded: Callable[[Event], Iterable[KeptCheckpoint]],
) -> VerifiedLog:
    """Recompute the log from its entries and compare it with its own and all kept checkpoints.

    `find_embedded` returns the checkpoints in the evidence of an event. Raises `RecordError` at the first
    contradiction, `UsageError` without keys.
    """
    # 1. Somebody says whose log this is: a key out of the store itself would prove nothing.
    if not keys:
        raise UsageError(
            "the record can't be verified without the log's public key",
            where="trust policy, role log",
            fix="name the log key in the trust policy or give it with an option",
        )

    # 2. The log's own checkpoint and the kept ones carry the log's signature.
    head = stored.head()
    own = None if head.note is None else _verify_checkpoint("the record itself", head.note, keys)
    expected = [(one, _verify_checkpoint(one.source, one.note, keys)) for one in kept]

    # 3. Entries stand in order without a gap; each is an event; each hash, leaf or inner, is the recomputed one.
    tree = CompactRange()
    roots = {0: EMPTY_ROOT}
    index = RunIndex()
    evidence: dict[Sha256, int] = {}
    embedded: list[KeptCheckpoint] = []
    for number, entry in stored.entries():
        if number != tree.size:
            raise _contradiction(f"entry {tree.size} is missing", f"record entry {tree.size}")
        nodes = tree.add(leaf_hash(entry))
        if list(stored.hashes([node for node, _ in nodes])) != [computed for _, computed in nodes]:
            raise _contradiction("an entry is not the one that was recorded", f"record entry {number}")
        roots[tree.size] = tree.root()
        event = read_entry(entry, number)
        index.apply(event)
        for sha256 in event.evidence:
            evidence.setdefault(sha256, number)
        embedded.extend(find_embedded(event))

    # 4. The log's own checkpoint signs exactly this: not less (a forged tail), not more (a cut one).
    if tree.size != head.size:
        raise _contradiction(f"the record holds {tree.size} entries and says {head.size}", "end of the record")
    if own is None and tree.size:
        raise _contradiction("the record has entries and no checkpoint: nobody signed them", "record checkpoint")
    if own is not None:
        _require_same(own, tree.size, roots, "the record itself")
        if own.size != tree.size:
            raise _contradiction(f"entries from number {own.size} on are not signed", f"record entry {own.size}")

    # 5. Every kept checkpoint is an earlier state of this log.
    #    One that lies in the store and that no expected key signed (of a key since withdrawn) can't count either way.
    ignored: list[str] = []
    for one in embedded:
        try:
            expected.append((one, verify_checkpoint(one.note, keys)))
        except (DocumentError, SignatureInvalid):
            ignored.append(one.source)
    compared = []
    for one, checkpoint in expected:
        _require_same(checkpoint, tree.size, roots, one.source)
        compared.append(ComparedCheckpoint(source=one.source, size=checkpoint.size, outside=one.outside))

    return VerifiedLog(head=own, compared=tuple(compared), index=index, evidence=evidence, ignored=tuple(ignored))


def _verify_checkpoint(source: str, note: str, keys: Sequence[NoteKey]) -> VerifiedCheckpoint:
    try:
        return verify_checkpoint(note, keys)
    except (DocumentError, SignatureInvalid) as error:
        raise _contradiction(f"a checkpoint is not signed by the log: {error.cause}", source) from error


def _require_same(checkpoint: VerifiedCheckpoint, size: int, roots: dict[int, bytes], source: str) -> None:
    if checkpoint.size > size:
        raise _contradiction(
            f"the record has {size} entries, but had {checkpoint.size}: it was cut or an old copy was put back",
            f"checkpoint of {source}",
        )
    if roots[checkpoint.size] != checkpoint.root:
        raise _contradiction(
            f"the first {checkpoint.size} entries are not those that were signed: the record was rewritten",
            f"checkpoint of {source}",
        )


def _contradiction(cause: str, where: str) -> RecordError:
    return RecordError(cause, where=where, fix=FIX)
