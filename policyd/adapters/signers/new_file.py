"""Files that are written once: keys, signatures, attestations are never put over something else."""

from __future__ import annotations

import os
from pathlib import Path

from policyd.errors import UsageError


def write_new(path: Path, content: bytes, *, mode: int, what: str) -> None:
    """Write a file that was not there, durably and as a whole; on any failure nothing is left.

    Raises `UsageError` if there is something of this name already, also a link to nowhere.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    except FileExistsError as error:
        raise UsageError(
            f"there is a file of this name already; policyd never overwrites {what}",
            where=str(path),
            fix="choose another name, or move the old file away",
        ) from error
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)  # whatever the umask says
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise _unwritable(path, error) from error
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _unwritable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"the file can't be written: {error.strerror}",
        where=str(path),
        fix="choose a folder you can write to, with space left",
    )
