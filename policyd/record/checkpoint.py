"""Checkpoints: the log's signed word on its size and root. Two that contradict each other prove a rewritten log.

The origin, which names the log, is made from the log key's fingerprint: one key signs one log, so a new log that
somebody puts in the place of the old one contradicts the checkpoints kept of the old one.

Source: C2SP tlog-checkpoint, "Note text" and "Signatures".
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from policyd.errors import DocumentError, SignatureInvalid
from policyd.models.base import Sha256
from policyd.record.merkle import HASH_BYTES
from policyd.record.note import NoteKey, read_base64, read_public_key, sign_note, verify_note

_ORIGIN = "policyd.dev/log/"
MAX_SIZE = 2**63 - 1  # what a database counts to
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: which log, how many entries, which root. Says nothing about who claims it."""

    origin: str
    size: int
    root: bytes

    def to_text(self) -> str:
        """Return the text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True)
class VerifiedCheckpoint:
    """A checkpoint signed by the log's key. Built by `sign_checkpoint` and `verify_checkpoint` alone."""

    checkpoint: Checkpoint
    note: str

    @property
    def size(self) -> int:
        """How many entries the log had."""
        return self.checkpoint.size

    @property
    def root(self) -> bytes:
        """The root over them."""
        return self.checkpoint.root


def log_key(public_key_pem: str) -> NoteKey:
    """Return the key of the log that `public_key_pem` signs. Raises `KeyUnusable` unless it is an Ed25519 key."""
    public_key, fingerprint = read_public_key(public_key_pem)
    return NoteKey(name=_ORIGIN + fingerprint, public_key=public_key)


def log_fingerprint(key: NoteKey) -> Sha256:
    """Return the fingerprint of a key that `log_key` made."""
    return key.name.removeprefix(_ORIGIN)


def read_checkpoint(text: str) -> Checkpoint:
    """Parse the text of a checkpoint. Extension lines are allowed and not kept. Raises `DocumentError`."""
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
        raise _malformed("it has not three lines or more, or has empty ones")
    origin, size, encoded = lines[:3]
    if not _SIZE.fullmatch(size) or int(size) > MAX_SIZE:
        raise _malformed(f"the size {size[:30]!r} is not a plain number")
    try:
        root = read_base64(encoded)
    except ValueError as error:
        raise _malformed("the root is not base64") from error
    if len(root) != HASH_BYTES:
        raise _malformed("the root does not have 32 bytes")
    return Checkpoint(origin=origin, size=int(size), root=root)


def sign_checkpoint(size: int, root: bytes, key: NoteKey, sign: Callable[[bytes], bytes]) -> VerifiedCheckpoint:
    """Return the checkpoint of the log of `key` at `size`. The caller answers for it not contradicting earlier ones."""
    checkpoint = Checkpoint(origin=key.name, size=size, root=root)
    return VerifiedCheckpoint(checkpoint=checkpoint, note=sign_note(checkpoint.to_text(), key, sign))


def verify_checkpoint(note: str, keys: Sequence[NoteKey]) -> VerifiedCheckpoint:
    """Return the checkpoint in `note` if the log that it names signed it with one of `keys`.

    Raises `DocumentError` if it is no checkpoint, `SignatureInvalid` if none of the keys signed it.
    """
    verified = verify_note(note, keys)
    checkpoint = read_checkpoint(verified.text)
    # One log's key must not speak for another log: the signer's name is the origin.
    if checkpoint.origin not in {key.name for key in verified.keys}:
        raise SignatureInvalid(
            "the checkpoint is signed by another log's key",
            where=f"origin {checkpoint.origin}",
            fix="compare the origin with the log key in the trust policy",
        )
    return VerifiedCheckpoint(checkpoint=checkpoint, note=note)


def _malformed(cause: str) -> DocumentError:
    return DocumentError(f"not a checkpoint: {cause}", where="signed note", fix="get the checkpoint again")
