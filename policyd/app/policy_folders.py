"""Policy folders as an author names them: a whole set, a part of one, or one file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from policyd.adapters.library import library_folder, read_policy_folder
from policyd.errors import UsageError

_MARKS = ("collections", "capabilities.json", ".manifest")
_MAX_LEVELS = 3  # family/rule/rule.rego


@dataclass(frozen=True, slots=True)
class PolicyFolder:
    """A policy set's folder with all its files, and which part of it was named."""

    folder: Path
    files: dict[str, bytes]
    part: str = ""  # a path below the folder; "" for all

    def holds(self, path: str) -> bool:
        """Say whether the file at `path` (relative to the folder) is in the part that was named."""
        return not self.part or path == self.part or path.startswith(f"{self.part}/")


def read_policy_folders(paths: tuple[Path, ...]) -> list[PolicyFolder]:
    """Return the policy sets that `paths` lie in, with tests; the library that comes with policyd where there are none.

    A folder inside a set (one with `collections`, up to three levels above) stands for that part of it, so that its
    rules find the set's libraries.
    """
    if not paths:
        return [PolicyFolder(library_folder(), read_policy_folder(library_folder(), tests=True))]
    found = []
    for path in paths:
        if not path.exists():
            raise UsageError("there is no such path", where=str(path), fix="check the spelling")
        folder = _set_of(path)
        part = path.resolve().relative_to(folder.resolve()).as_posix()
        found.append(PolicyFolder(folder, read_policy_folder(folder, tests=True), "" if part == "." else part))
    return found


def _set_of(path: Path) -> Path:
    start = path if path.is_dir() else path.parent
    above = [start, *(Path(*[start, *[".."] * level]) for level in range(1, _MAX_LEVELS + 1))]
    for folder in above:
        if any((folder / mark).exists() for mark in _MARKS):
            return folder if folder == start else folder.resolve()
    return start
