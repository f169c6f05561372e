"""One lock a run, held by the policyd that runs it. The kernel frees it when that process dies, however it dies."""

from __future__ import annotations

import fcntl
import os
import re
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from weakref import WeakSet

from policyd.errors import StoreError, UsageError
from policyd.models.base import RunId

_RUN_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


class RunLock:
    """The lock of one run, held from `RunLocks.hold` to the end of the `with` block or `release`."""

    def __init__(self, path: Path, handle: int) -> None:
        self._path = path
        self._handle: int | None = handle
        _held.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Let go of the run."""
        if self._handle is not None:
            self._path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let go of the descriptor; the lock is free when nobody else has it."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)


#: All locks of this process.
_held: WeakSet[RunLock] = WeakSet()


def _close_all() -> None:
    for lock in tuple(_held):
        lock.close()


# A forked child would share the lock and hold it beyond our death.
os.register_at_fork(after_in_child=_close_all)


class RunLocks:
    """The folder of locks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def hold(self, run_id: RunId) -> RunLock:
        """Return the lock of the run, held. Raises `StoreError` if a living policyd holds it."""
        path = self._path(run_id)
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(
                f"the run can't be locked: {(error.strerror or str(error)).lower()}",
                where=str(path),
                fix="check the store's folder, its owner and its disk",
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise StoreError(
                f"run {run_id} is still going on in another policyd", where=str(path), fix="wait for it to end"
            ) from error
        return RunLock(path, handle)

    def is_held(self, run_id: RunId) -> bool:
        """Say whether a living policyd holds the run. What can't be looked at counts as held."""
        try:
            handle = os.open(self._path(run_id), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        try:
            # Shared, so that two who only look never take each other for the run's owner.
            with suppress(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return False
            return True
        finally:
            os.close(handle)

    def _path(self, run_id: RunId) -> Path:
        if not _RUN_ID.fullmatch(run_id):  # it becomes a path
            raise UsageError(f"{run_id[:64]!r} is not a run id", where=str(self._folder), fix="give 32 hex digits")
        return self._folder / f"{run_id}.lock"
