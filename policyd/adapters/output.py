"""Files that a user names: to read, or to write."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from policyd.errors import InputTooLarge, UsageError


def read_input(path: Path, *, max_bytes: int) -> bytes:
    """Return the content of the file `path`.

    Raises `UsageError` where there is none that can be read, `InputTooLarge` beyond the bound.
    """
    try:
        # A FIFO or device is no file, and opening one waits for ever unless told not to. Asked of what was opened: a
        # file could be swapped for one meanwhile.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise UsageError("this is not a regular file", where=str(path), fix="name a file")
        with open(descriptor, "rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise UsageError(
            f"the file can't be read: {(error.strerror or str(error)).lower()}",
            where=str(path),
            fix="name a file that is there and that you may read",
        ) from error
    if len(content) > max_bytes:
        raise InputTooLarge(
            f"the file is larger than the {max_bytes} bytes that are read", where=str(path), fix="name the right file"
        )
    return content


def write_output(path: Path, content: bytes) -> None:
    """Write `content` to `path`, all of it or nothing: half a plan must not lie under the name of a whole one."""
    # A name nobody can guess, made by nobody else: in a shared folder a link could wait under another.
    temporary = path.with_name(f".{path.name[:64]}.{secrets.token_hex(8)}")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(temporary, flags, 0o644), "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise UsageError(
            f"the file can't be written: {(error.strerror or str(error)).lower()}",
            where=str(path),
            fix="choose a folder you can write to",
        ) from error
