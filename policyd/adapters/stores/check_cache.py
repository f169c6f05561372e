"""What an earlier check found, kept in the user's cache folder, so that the same check need not look again.

A folder of files, each named after the digest of all that its content follows from. Nothing depends on the folder being
there or whole: what is missing, too large, cut short or not safe is not there. It lies outside of what is judged and
nobody else can write to it, since what it holds is taken for what was found.
"""

from __future__ import annotations

import os
import zlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from policyd.adapters.stores.files import write_all
from policyd.adapters.strict_modes import read_safe_file, require_safe_folder
from policyd.errors import PolicydError
from policyd.models.canonical import sha256_hex

if TYPE_CHECKING:
    from policyd.models.base import Sha256

MAX_ENTRIES = 64  # checks; the one used longest ago goes first
MAX_ENTRY_BYTES = 8 * 1024 * 1024  # 280 workflows take 100 KB
MAX_CONTENT_BYTES = 64 * 1024 * 1024


class CheckCache:
    """The folder. Made by `open_cache` alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, key: Sha256) -> bytes | None:
        """Return what was kept under `key`; None where there is nothing that can be used."""
        path = self._folder / key
        try:
            entry = read_safe_file(path, max_bytes=MAX_ENTRY_BYTES)
        except PolicydError:
            return None
        named, packed = entry[:64], entry[64:]
        # A cut or changed entry: the name says what it follows from, and this what it holds.
        if named != sha256_hex(key.encode() + packed).encode():
            return None
        unpack = zlib.decompressobj()
        try:
            content = unpack.decompress(packed, MAX_CONTENT_BYTES)
        except zlib.error:
            return None
        if not unpack.eof:
            return None
        with suppress(OSError):
            os.utime(path)  # it was used now
        return content

    def keep(self, key: Sha256, content: bytes) -> None:
        """Keep `content` under `key`, in the place of what was there. What can't be kept is left out."""
        packed = zlib.compress(content, 1)
        if len(content) > MAX_CONTENT_BYTES or len(packed) + 64 > MAX_ENTRY_BYTES:
            return
        path = self._folder / key
        temporary = self._folder / f".{key}.{os.getpid()}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            handle = os.open(temporary, flags, 0o600)
            try:
                write_all(handle, sha256_hex(key.encode() + packed).encode() + packed)
            finally:
                os.close(handle)
            os.replace(temporary, path)
            self._forget_oldest()
        except OSError:
            with suppress(OSError):
                temporary.unlink()

    def _forget_oldest(self) -> None:
        with os.scandir(self._folder) as listed:
            entries = sorted((entry.stat(follow_symlinks=False).st_mtime_ns, entry.path) for entry in listed)
        for _, path in entries[:-MAX_ENTRIES]:
            with suppress(OSError):
                os.unlink(path)


def open_cache(folder: Path, *, outside: Path) -> CheckCache | None:
    """Return the cache in `folder`, which is made where it is not there; None where it can't be used.

    1. It lies outside of the project at `outside`: whoever writes the project must not write what was found in it.
    2. It is a folder of ours, and so is all above it: nobody else can write to it (sshd's StrictModes).
    """
    try:
        # 1.
        if folder.resolve().is_relative_to(outside.resolve()):
            return None
        # 2.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return CheckCache(require_safe_folder(folder))
    except (OSError, PolicydError):
        return None


def default_folder() -> Path:
    """Return the folder that a user's checks share."""
    return platformdirs.user_cache_path("policyd") / "check"
