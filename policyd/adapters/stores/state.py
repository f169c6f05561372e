"""What policyd remembers outside the store: the last checkpoint of each log, which a restored store contradicts.

The folder must not lie in the store, nor the store in it: what is put back together proves nothing.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from policyd.adapters.stores.files import locked, write_whole
from policyd.adapters.stores.state_files import find_kept, make_state_folder, state_unusable
from policyd.errors import RecordError, SettingsError
from policyd.models.base import Sha256
from policyd.record.checkpoint import VerifiedCheckpoint
from policyd.record.note import MAX_NOTE_BYTES
from policyd.record.verify import KeptCheckpoint

_KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)


class RecordState:
    """The folder with one checkpoint a log, under the fingerprint of the log's key."""

    def __init__(self, folder: Path) -> None:
        self._checkpoints = folder / "checkpoints"

    @classmethod
    def create(cls, folder: Path, *, store: Path) -> RecordState:
        """Return the state in `folder`, made if it is not there.

        Raises `SettingsError` unless it is apart from `store`.
        """
        require_apart(folder, store)
        state = cls(folder)
        make_state_folder(state._checkpoints)
        return state

    def find(self, key_sha256: Sha256) -> KeptCheckpoint | None:
        """Return the checkpoint kept of the log that this key signs, None if none was."""
        path = self._path(key_sha256)
        content = find_kept(path, max_bytes=MAX_NOTE_BYTES)
        if content is None:
            return None
        # Bytes that are no UTF-8 are no note either: they go on, changed, and fail verification there.
        return KeptCheckpoint(source=str(path), note=content.decode(errors="replace"), outside=True)

    def list_keys(self) -> tuple[Sha256, ...]:
        """Return the fingerprints of the log keys of which a checkpoint is kept, sorted."""
        try:
            names = os.listdir(self._checkpoints)
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise state_unusable(self._checkpoints, error) from error
        return tuple(sorted(name for name in names if _KEY.fullmatch(name)))

    def remember(self, checkpoint: VerifiedCheckpoint, key_sha256: Sha256, *, kept: VerifiedCheckpoint | None) -> bool:
        """Keep `checkpoint`, durably, in place of `kept`, which the caller verified that it extends.

        Returns False, and keeps nothing, where another policyd has replaced `kept` meanwhile.
        Raises `RecordError` rather than go backwards.
        """
        if kept is not None and kept.size > checkpoint.size:
            raise RecordError(
                f"a checkpoint of {kept.size} entries would be replaced by one of {checkpoint.size}",
                where=str(self._path(key_sha256)),
                fix="verify the record: it was cut or an old copy was put back",
            )
        try:
            with locked(self._checkpoints):
                now = self.find(key_sha256)
                if (now.note if now else None) != (kept.note if kept else None):
                    return False
                write_whole(self._path(key_sha256), checkpoint.note.encode())
        except OSError as error:
            raise state_unusable(self._path(key_sha256), error) from error
        return True

    def _path(self, key_sha256: Sha256) -> Path:
        if not _KEY.fullmatch(key_sha256):
            raise ValueError("not a key fingerprint")
        return self._checkpoints / key_sha256


def require_apart(state: Path, store: Path) -> None:
    """Raise `SettingsError` if one of the folders lies within the other."""
    here, there = state.resolve(), store.resolve()
    if here.is_relative_to(there) or there.is_relative_to(here):
        raise SettingsError(
            "the state folder and the store lie in each other: putting an old store back would not show",
            where=f"state {state}, store {store}",
            fix="keep `state` in another folder, best on another disk",
        )
