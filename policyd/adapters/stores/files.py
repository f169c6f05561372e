"""Files that are there as a whole or not at all, and locks that a dead process can't hold."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from policyd.errors import StoreError

LOCK_TIMEOUT_SECONDS = 10.0  # set-up and keeping a checkpoint take milliseconds
_LOCK_POLL_SECONDS = 0.01


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder` alone among all processes. The kernel frees it when a process dies.

    Raises `StoreError` if somebody holds it for longer than `LOCK_TIMEOUT_SECONDS`.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise StoreError(
                        f"another policyd has held the lock for {LOCK_TIMEOUT_SECONDS:.0f} s",
                        where=str(folder),
                        fix="wait for it to end, or end it, and try again",
                    ) from error
                time.sleep(_LOCK_POLL_SECONDS)
        yield
    finally:
        os.close(handle)


def write_whole(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Put `content` at `path`, replacing what was there; durable on return. Raises `OSError`."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        try:
            write_all(handle, content)
            os.fsync(handle)
        finally:
            os.close(handle)
        os.rename(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_all(handle: int, content: bytes | memoryview) -> None:
    """Write all of `content`; `os.write` may stop short at a full disk or a limit, and then says so next time."""
    view = memoryview(content)
    while view:
        view = view[os.write(handle, view) :]


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
