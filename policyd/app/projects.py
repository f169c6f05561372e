"""Where a project begins: the folder whose files are the source tree."""

from __future__ import annotations

from pathlib import Path

from policyd.adapters.settings_places import PROJECT_FILE
from policyd.errors import UsageError


def find_root(path: Path) -> Path:
    """Return the project root for a file or folder: the nearest one at or above it with policyd.yaml or .git.

    A checkout ends at its .git: a policyd.yaml that somebody put above it (in /tmp, say) makes no project of all that
    lies there. Where there is neither, it is the folder itself. Links are resolved, so that what is judged is what is
    meant. Raises `UsageError` where there is no such path.
    """
    if not path.exists():
        raise UsageError("there is no such path", where=str(path), fix="check the spelling")
    resolved = path.resolve()
    start = resolved if resolved.is_dir() else resolved.parent
    for folder in (start, *start.parents):
        if any((folder / marker).exists() for marker in (PROJECT_FILE, ".git")):
            return folder
    return start


def relative_to_root(path: Path, root: Path) -> str:
    """Return `path` as the plan names it: relative to `root`, with forward slashes."""
    return path.resolve().relative_to(root).as_posix()
