"""A file read once: hashed while it is read, kept only where somebody needs its content."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from policyd.attestation.blobs import HashedFile
from policyd.attestation.dsse import PAE_START
from policyd.attestation.keys import DigestName
from policyd.errors import InputTooLarge, UsageError

CHUNK_BYTES = 1024 * 1024
#: What is kept of a file whose content a key needs: Ed25519 signs no digest, and neither do keys named by URI.
MAX_KEPT_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ReadFile(HashedFile):
    """A file with its digests, and whether it begins as the bytes under an attestation do."""

    begins_as_envelope: bool = False


def read_hashed(path: Path, digests: Collection[DigestName], *, keep_content: bool = False) -> ReadFile:
    """Return the file at `path`, which may be a pipe, hashed with `digests`; memory stays constant without its content.

    Raises `UsageError` where it can't be read or is written to meanwhile, `InputTooLarge` where its content is to be
    kept and is too large.
    """
    hashers = {name: hashlib.new(name) for name in digests}
    buffer = memoryview(bytearray(CHUNK_BYTES))
    start, kept = b"", bytearray()
    try:
        with path.open("rb", buffering=0) as stream:
            before = os.fstat(stream.fileno())
            while size := stream.readinto(buffer):
                chunk = buffer[:size]
                for hasher in hashers.values():
                    hasher.update(chunk)
                if len(start) < len(PAE_START):
                    start = (start + chunk[: len(PAE_START)])[: len(PAE_START)]  # a pipe may hand over a byte at a time
                if keep_content:
                    kept += chunk
                    if len(kept) > MAX_KEPT_BYTES:
                        raise InputTooLarge(
                            f"a key of this kind takes files of at most {MAX_KEPT_BYTES} bytes",
                            where=str(path),
                            fix="use an ECDSA P-256 key in a file: policyd key new --out NAME",
                        )
            # What was read in two states of a file is neither: nobody could verify it, nor has anybody seen it.
            if stat.S_ISREG(before.st_mode) and _state(before) != _state(os.fstat(stream.fileno())):
                raise UsageError(
                    "the file changed while it was read", where=str(path), fix="try again when nothing writes to it"
                )
    except OSError as error:
        raise UsageError(
            f"the file can't be read: {error.strerror}", where=str(path), fix="name a file you can read"
        ) from error
    return ReadFile(
        digests={name: hasher.digest() for name, hasher in hashers.items()},
        content=bytes(kept) if keep_content else None,
        begins_as_envelope=start == PAE_START,
    )


def _state(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns
