"""Files that a user asks policyd to write."""

from __future__ import annotations

import os
from pathlib import Path

from policyd.errors import UsageError


def write_output(path: Path, content: bytes) -> None:
    """Write `content` to `path`, all of it or nothing: half a plan must not lie under the name of a whole one."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UsageError(
            f"the file can't be written: {(error.strerror or str(error)).lower()}",
            where=str(path),
            fix="choose a folder you can write to",
        ) from error
