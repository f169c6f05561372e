"""Where a project begins: the folder whose files are the source tree."""

from __future__ import annotations

from pathlib import Path

from policyd.adapters.settings import PROJECT_FILE
from policyd.errors import UsageError


def find_root(path: Path) -> Path:
    """Return the project root for a file or folder: the nearest parent with policyd.yaml, else with .git, else its own.

    The path is taken as the caller wrote it, made absolute; links are resolved, so that what is judged is what is
    meant. Raises `UsageError` where there is no such path.
    """
    if not path.exists():
        raise UsageError("there is no such path", where=str(path), fix="check the spelling")
    resolved = path.resolve()
    start = resolved if resolved.is_dir() else resolved.parent
    for marker in (PROJECT_FILE, ".git"):
        for folder in (start, *start.parents):
            if (folder / marker).exists():
                return folder
    return start


def relative_to_root(path: Path, root: Path) -> str:
    """Return `path` as the plan names it: relative to `root`, with forward slashes."""
    return path.resolve().relative_to(root).as_posix()
