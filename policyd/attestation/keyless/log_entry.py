"""An entry of a transparency log: that a log of the trusted root has it, and when it came in.

Two kinds of word are checked. A *promise* (signed entry timestamp) is the log's signature over the entry and the time
it came in; it is what proves a time. An *inclusion proof* leads from the entry to a root that the log signed in a
checkpoint; it proves that the entry is in the public log and says nothing about time.

Source: sigstore/protobuf-specs v0.5.1, protos/sigstore_rekor.proto; C2SP signed-note and tlog-checkpoint; RFC 9162
section 2.1.3.2.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime

from policyd.attestation.keyless.trusted_root import Log, TrustedRoot
from policyd.attestation.keys import is_signed_by
from policyd.attestation.material import InclusionProof, LogEntry
from policyd.errors import DocumentError, RecordError, VerificationFailed
from policyd.models.base import rfc3339
from policyd.models.canonical import canonical_json
from policyd.record.checkpoint import Checkpoint, read_checkpoint
from policyd.record.merkle import leaf_hash
from policyd.record.merkle import verify_inclusion as verify_path
from policyd.record.note import read_note

#: RFC 8785 has no whole numbers beyond; an index that large would take a thousand years of entries.
_MAX_NUMBER = 2**53


def require_log(entry: LogEntry, root: TrustedRoot, *, where: str) -> Log:
    """Return the log of the trusted root that an entry says it is in; `VerificationFailed` if none is."""
    log = root.find_log(entry.log_id)
    if log is None:
        raise _refused(f"the entry is in a log that the trusted root does not list ({entry.log_id.hex()})", where)
    return log


def verify_promise(entry: LogEntry, log: Log, *, where: str) -> datetime | None:
    """Return when the log says that the entry came in; None where it made no promise, since the time alone is a claim.

    Raises `VerificationFailed` for a promise that is not by this log, or of another entry, index or time.
    """
    if entry.promise is None:
        return None
    if entry.integrated_time is None:
        raise _refused("the log's promise names no time", where)
    if max(entry.integrated_time, entry.log_index) >= _MAX_NUMBER:
        raise _refused("the log entry's time or index is out of bounds", where)
    promised = canonical_json(
        {
            "body": base64.b64encode(entry.body).decode(),
            "integratedTime": entry.integrated_time,
            "logID": entry.log_id.hex(),
            "logIndex": entry.log_index,
        }
    )
    if not is_signed_by(log.key, entry.promise, promised):
        raise _refused(
            f"the promise (signed entry timestamp) is not one of this entry by the log {log.url}: "
            "the entry, its index or its time was changed, or it is the promise of another",
            where,
        )
    try:
        moment = datetime.fromtimestamp(entry.integrated_time, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise _refused("the log's time is out of bounds", where) from error
    require_in_window(log, moment, where=where)
    return moment


def verify_inclusion(entry: LogEntry, log: Log, *, where: str) -> Checkpoint | None:
    """Return the checkpoint of the log that an entry is under; None where the entry has no proof.

    Raises `VerificationFailed` for a proof that does not lead to a checkpoint by this log.
    """
    proof = entry.proof
    if proof is None:
        return None
    checkpoint = _require_checkpoint(proof, entry.log_index, log, where)
    if (checkpoint.root, checkpoint.size) != (proof.root, proof.tree_size):
        raise _refused(
            f"the checkpoint is of a tree of {checkpoint.size} entries and the proof of one of {proof.tree_size}, "
            "or their roots differ: it is the checkpoint of another state of the log",
            where,
        )
    try:
        verify_path(proof.log_index, proof.tree_size, leaf_hash(entry.body), proof.hashes, proof.root)
    except RecordError as error:
        raise _refused(f"the inclusion proof does not hold: {error.cause}", where) from error
    return checkpoint


def require_in_window(log: Log, moment: datetime, *, where: str) -> None:
    """Raise `VerificationFailed` unless the trusted root lets the log count at `moment`."""
    if not log.window.holds(moment):
        raise _refused(f"the log {log.url} counts {log.window.describe()}, not at {rfc3339(moment)}", where)


def _require_checkpoint(proof: InclusionProof, log_index: int, log: Log, where: str) -> Checkpoint:
    """Return the checkpoint that comes with a proof, if `log` signed it as its own."""
    # 1. A signed note that holds a checkpoint.
    try:
        note = read_note(proof.checkpoint)
        checkpoint = read_checkpoint(note.text)
    except DocumentError as error:
        raise _refused(f"the checkpoint can't be read: {error.cause}", where) from error

    # 2. The signer's name is the origin. Rekor v1 names one of its trees behind it ("rekor.example - 123").
    origin, tree, _ = checkpoint.origin.partition(" - ")
    mine = [one for one in note.signatures if one.name == origin and one.key_id in log.checkpoint_ids]
    # Rekor v2 has one tree a log and must be called by the log's host; v1 may sign under a name of its own.
    if not mine or (not tree and origin != log.host):
        raise _refused(
            f"the checkpoint of another log: it is by {checkpoint.origin[:128]!r}, not by the log {log.url}", where
        )

    # 3. By the log's key. A wrong signature in the log's name spoils the checkpoint, whatever else it carries.
    if not all(is_signed_by(log.key, one.signature, note.text.encode()) for one in mine):
        raise _refused(f"the checkpoint of another log: its signature is not by the log {log.url}", where)

    # 4. Where a log has one tree, an entry has one number.
    if not tree and proof.log_index != log_index:
        raise _refused(f"the entry is number {proof.log_index} of the log, and the bundle says {log_index}", where)
    return checkpoint


def _refused(cause: str, where: str) -> VerificationFailed:
    return VerificationFailed(
        cause, where=where, fix="get the bundle again from its signer; or compare the trusted root with the instance"
    )
