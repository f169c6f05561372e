"""What the repository holds, without what builds, tests and editors leave in it."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_MADE = {"__pycache__", "build", "dist", "_data"}


def text_files() -> list[Path]:
    """Return every file of text that belongs to the repository."""
    found: list[Path] = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name in (".ci", ".github") or not (name in _MADE or name[0] == ".")]
        found += [Path(folder, name) for name in names if not name.endswith((".pyc", ".whl", ".gz"))]
    return found
