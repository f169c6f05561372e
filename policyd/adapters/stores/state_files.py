"""Small files of the state folder, which is kept apart from the store: read whole, never through a link."""

from __future__ import annotations

import os
from pathlib import Path

from policyd.adapters.strict_modes import require_safe_folder
from policyd.errors import StoreError


def make_state_folder(folder: Path) -> None:
    """Make `folder` if it is not there; raises unless nobody else can write it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise state_unusable(folder, error) from error
    require_safe_folder(folder)


def find_kept(path: Path, *, max_bytes: int) -> bytes | None:
    """Return what a file of the state folder holds, None where there is none.

    Of a longer file it is one byte more than `max_bytes`, for whoever parses it to refuse.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            return file.read(max_bytes + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise state_unusable(path, error) from error


def state_unusable(path: Path, error: OSError) -> StoreError:
    """Return what is raised where the state folder refuses."""
    return StoreError(
        f"the state folder can't be used: {(error.strerror or str(error)).lower()}",
        where=str(path),
        fix="check that the folder is there and that you may use it",
    )
