"""Evidence that somebody added to the store, found by the digests of what it speaks of.

The evidence itself lies in the content store, by its own digest. Beside it is an index of two folders: what was added,
and for each digest the names of the evidence that claims to speak of it. The index says where to look and is never
believed: whoever finds something by it verifies it, and nothing gains by being in it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from policyd.adapters.stores.content import ContentStore
from policyd.adapters.stores.files import write_whole
from policyd.adapters.strict_modes import require_safe_folder
from policyd.attestation.keys import DigestName
from policyd.errors import StoreError, UsageError
from policyd.models.base import Model, Sha256
from policyd.models.strict_json import read_model

MAX_EVIDENCE_BYTES = 64 * 1024 * 1024
MAX_ADDED = 1_000_000
#: Each digest is a folder with a file; a release has some thousand.
MAX_INDEXED_DIGESTS = 30_000
_MAX_NOTE_BYTES = 16 * 1024
_NAME = re.compile(r"[0-9a-f]{64}", re.ASCII)
_PART = re.compile(r"(?:sha256-[0-9a-f]{64}|sha384-[0-9a-f]{96}|sha512-[0-9a-f]{128})", re.ASCII)


class AddedEvidence(Model):
    """What was added, as it claims of itself. Nothing in here is verified."""

    policyd: Literal["evidence/v1"] = "evidence/v1"
    sha256: Sha256
    kind: Literal["attestation", "signature"]
    predicate_type: str | None = None
    subjects: int
    first_subject: str
    source: str
    added_at: str


class EvidenceStore:
    """The evidence below one store. Opened as it stands; `create` makes it where it is not there."""

    def __init__(self, root: Path) -> None:
        """Take the folder of a store."""
        self._content = ContentStore(root / "content")
        self._added = root / "evidence" / "added"
        self._by_digest = root / "evidence" / "by-digest"

    @classmethod
    def create(cls, root: Path) -> EvidenceStore:
        """Return the evidence in the store at `root`, made if it is not there.

        Raises `UnsafePermissions` if others can write to it.
        """
        store = cls(root)
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            require_safe_folder(root)
            for folder in (root / "content", root / "evidence", store._added, store._by_digest):
                folder.mkdir(mode=0o700, exist_ok=True)
                require_safe_folder(folder)
        except OSError as error:
            raise _unusable(root, error) from error
        store._content = ContentStore.create(root / "content")
        return store

    @classmethod
    def find(cls, root: Path) -> EvidenceStore | None:
        """Return the evidence in the store at `root`; None where none was ever added."""
        store = cls(root)
        if not store._added.is_dir():
            return None
        for folder in (root, root / "evidence", store._added, store._by_digest):
            require_safe_folder(folder)
        return store

    def add(self, content: bytes, note: AddedEvidence, digests: Iterable[str]) -> bool:
        """Keep `content`, to be found by each of `digests` (`sha256-HEX`); return whether it was new."""
        # 1. The evidence, then the ways to it: a way never leads to nothing.
        self._content.put(content)
        try:
            for digest in digests:
                folder = self._by_digest / _require(digest, _PART)
                folder.mkdir(mode=0o700, exist_ok=True)
                os.close(os.open(folder / note.sha256, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))

            # 2. Last what it is, so that a list shows only what is whole.
            path = self._added / _require(note.sha256, _NAME)
            if path.exists():
                return False
            write_whole(path, note.to_json())
        except OSError as error:
            raise _unusable(self._added, error) from error
        return True

    def list_added(self) -> list[AddedEvidence]:
        """Return everything that was added, the oldest first."""
        return sorted(
            (self.require(name) for name in self._names(self._added)), key=lambda note: (note.added_at, note.sha256)
        )

    def find_by_digests(self, digests: Iterable[str]) -> list[AddedEvidence]:
        """Return what claims to speak of any of `digests`, the oldest first."""
        names = {name for digest in digests for name in self._names(self._by_digest / _require(digest, _PART))}
        return sorted((self.require(name) for name in names), key=lambda note: (note.added_at, note.sha256))

    def find_names(self, beginning: str) -> list[Sha256]:
        """Return the digests of what was added that begin with `beginning`."""
        return [name for name in self._names(self._added) if name.startswith(beginning)]

    def require(self, sha256: Sha256) -> AddedEvidence:
        """Return what was noted of the evidence with this digest; `StoreError` if it can't be read."""
        path = self._added / _require(sha256, _NAME)
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            with os.fdopen(handle, "rb") as file:
                content = file.read(_MAX_NOTE_BYTES + 1)
        except OSError as error:
            raise _unusable(path, error) from error
        return read_model(
            AddedEvidence, content, where=str(path), max_bytes=_MAX_NOTE_BYTES, max_depth=2, error=StoreError
        )

    def get(self, sha256: Sha256) -> bytes:
        """Return the evidence with this digest; `StoreError` if it is missing or is not what it was."""
        return self._content.get(sha256, max_bytes=MAX_EVIDENCE_BYTES)

    def _names(self, folder: Path) -> list[str]:
        try:
            with os.scandir(folder) as entries:
                names = sorted(entry.name for entry in entries if _NAME.fullmatch(entry.name))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _unusable(folder, error) from error
        if len(names) > MAX_ADDED:
            raise StoreError(
                f"more than {MAX_ADDED} pieces of evidence", where=str(folder), fix="use a store for each product"
            )
        return names


def digest_names(digests: Mapping[DigestName, bytes]) -> list[str]:
    """Return digests as the index has them: `sha256-HEX`."""
    return [f"{name}-{digest.hex()}" for name, digest in digests.items()]


def _require(text: str, form: re.Pattern[str]) -> str:
    if not form.fullmatch(text):
        raise UsageError("this is no digest", where=text[:128], fix="write it as 64 lower-case hex digits")
    return text


def _unusable(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"the store can't be used: {(error.strerror or str(error)).lower()}",
        where=str(error.filename or path),
        fix="check `store` in the settings and who may write there",
    )
