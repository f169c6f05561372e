"""Files below a folder that is held open: no component of a path is ever a link, so nothing leads out of it.

What a stage left or a repository holds may swap a folder for a link between two looks (docs/threats.md, T16 and T45).
Every path is therefore walked one component at a time from a descriptor, and judged on what was really opened.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from policyd.models.base import Sha256

#: Large enough that system calls cost nothing beside hashing, small enough to stay in the processor's cache.
CHUNK_BYTES = 256 * 1024

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: O_NONBLOCK: opening a FIFO must not wait for a writer.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def opened_folder(path: str | os.PathLike[str], within: int | None = None) -> Iterator[int]:
    """Hold the folder `path` open (relative to the descriptor `within`); a link is an `OSError`."""
    descriptor = os.open(path, _FOLDER, dir_fd=within)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def opened_folder_beneath(root: int, parts: Sequence[str]) -> Iterator[int]:
    """Hold open the folder that `parts` lead to from `root`; a link anywhere is an `OSError`."""
    descriptor = os.open(".", _FOLDER, dir_fd=root)
    try:
        for part in parts:
            inner = os.open(_plain(part), _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def open_file(name: str, within: int) -> int:
    """Open the file `name` in the folder `within` for reading; the caller looks at what it is.

    Devices are not opened at all, since opening can have effects: the caller checks `lstat` first.
    """
    return os.open(_plain(name), _FILE, dir_fd=within)


def is_regular(state: os.stat_result) -> bool:
    """True for a regular file."""
    return stat.S_ISREG(state.st_mode)


def read_chunks(descriptor: int) -> Iterator[bytes]:
    """Yield the content from where the descriptor stands."""
    while chunk := os.read(descriptor, CHUNK_BYTES):
        yield chunk


def hash_descriptor(descriptor: int) -> tuple[Sha256, int]:
    """Return SHA-256 and size of what the descriptor holds, read once."""
    digest, size = hashlib.sha256(), 0
    for chunk in read_chunks(descriptor):
        digest.update(chunk)
        size += len(chunk)
    return digest.hexdigest(), size


def make_folders(root: int, parts: Sequence[str], *, mode: int = 0o755, owner: tuple[int, int] | None = None) -> None:
    """Make the folders that `parts` name below `root` where they are not there yet; `owner` is uid and gid."""
    with opened_folder(".", root) as start:
        here = os.dup(start)
    try:
        for part in parts:
            try:
                os.mkdir(_plain(part), mode, dir_fd=here)
                fresh = True
            except FileExistsError:
                fresh = False
            inner = os.open(part, _FOLDER, dir_fd=here)
            os.close(here)
            here = inner
            if fresh:
                os.fchmod(here, mode)  # mkdir's mode is cut by the umask
                if owner is not None:
                    os.fchown(here, *owner)
    finally:
        os.close(here)


def write_new(
    name: str, within: int, fill: Callable[[int], object], *, mode: int, owner: tuple[int, int] | None = None
) -> None:
    """Make the new file `name` in the folder `within`, let `fill` write it, then give it `mode` and `owner`.

    Where `fill` raises, the file is removed again.
    """
    descriptor = os.open(_plain(name), _NEW_FILE, 0o600, dir_fd=within)
    try:
        try:
            fill(descriptor)
            if owner is not None:
                os.fchown(descriptor, *owner)
            os.fchmod(descriptor, mode)  # after chown, which clears mode bits
        except BaseException:
            os.unlink(name, dir_fd=within)
            raise
    finally:
        os.close(descriptor)


def _plain(name: str) -> str:
    """Return `name` where it is one component and nothing else; anything else is a fault of the caller."""
    if not name or name in (".", "..") or "/" in name or "\0" in name:
        raise ValueError(f"not a single path component: {name!r}")
    return name
