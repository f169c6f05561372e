"""Policy folders as an author names them: a whole set, a part of one, or one file."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from policyd.adapters import clock
from policyd.adapters.library import library_folder, read_policy_folder
from policyd.adapters.settings import find_authority
from policyd.app.policy_sets import is_bundle
from policyd.errors import UsageError
from policyd.policy.policy_files import rule_beside
from policyd.policy.policy_set import find_prefix

_MARKS = ("collections", "capabilities.json", ".manifest")
_POLL_SECONDS = 0.3
_MAX_LEVELS = 3  # family/rule/rule.rego


@dataclass(frozen=True, slots=True)
class PolicyFolder:
    """A policy set's folder with all its files, and which part of it was named."""

    folder: Path
    files: dict[str, bytes]
    part: str = ""  # a path below the folder; "" for all
    bundle: bool = False  # not a folder but a bundle, which holds no tests

    @property
    def prefix(self) -> str:
        """What its packages begin with: an author's set may be of any layer."""
        return find_prefix(self.files)

    def holds(self, path: str) -> bool:
        """Say whether the file at `path` (relative to the folder) is in the part that was named."""
        return not self.part or self.part in (path, rule_beside(path)) or path.startswith(f"{self.part}/")


def read_policy_folders(paths: tuple[Path, ...], *, settings: Path | None = None) -> list[PolicyFolder]:
    """Return the policy sets that `paths` lie in, with tests; the library that comes with policyd where there are none.

    A bundle stands for the folder it was made of; one that is signed has to hold by the operator's `settings`.

    A folder inside a set (one with `collections`, up to three levels above) stands for that part of it, so that its
    rules find the set's libraries.
    """
    if not paths:
        return [PolicyFolder(library_folder(), read_policy_folder(library_folder(), tests=True))]
    found = []
    for path in paths:
        if not path.exists():
            raise UsageError("there is no such path", where=str(path), fix="check the spelling")
        if is_bundle(path):
            from policyd.app.bundled_sets import look_at_bundle

            authority = find_authority(settings, repository=None)
            files = dict(look_at_bundle(path, authority, now=clock.now()).files)
            found.append(PolicyFolder(path, files, bundle=True))
            continue
        folder = _set_of(path)
        part = path.resolve().relative_to(folder.resolve()).as_posix()
        found.append(PolicyFolder(folder, read_policy_folder(folder, tests=True), "" if part == "." else part))
    return found


def _set_of(path: Path) -> Path:
    start = path if path.is_dir() else path.parent
    if _is_set(start):
        return start
    above = start.resolve().parents[:_MAX_LEVELS]
    return next((folder for folder in above if _is_set(folder)), start)


def _is_set(folder: Path) -> bool:
    return any((folder / mark).exists() for mark in _MARKS)


def file_times(paths: tuple[Path, ...]) -> dict[str, int]:
    """Return when each file below `paths` (the library without one) changed last."""
    times = {}
    for path in paths or (library_folder(),):
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            with suppress(OSError):  # gone between the two calls: a change like others
                times[str(file)] = file.stat().st_mtime_ns
    return times


def await_change(paths: tuple[Path, ...], before: dict[str, int]) -> None:
    """Wait until the files below `paths` are not as they were `before`."""
    while file_times(paths) == before:
        time.sleep(_POLL_SECONDS)
