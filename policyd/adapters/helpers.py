"""The programs policyd calls: bwrap, git and opa, from a fixed system path or where operator settings say.

Never through the caller's PATH, which the judged repository may have a hand in (docs/threats.md, T17 and T44). Each is
checked like a settings file, and its digest goes into what it helped to make.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from policyd.adapters.strict_modes import require_safe_file
from policyd.errors import SettingsError
from policyd.models.base import Sha256

HelperName = Literal["bwrap", "git", "opa"]

SYSTEM_PATH = (Path("/usr/bin"), Path("/usr/local/bin"))

_HOW_TO_GET = {
    "bwrap": "install bubblewrap 0.8 or later (apt-get install bubblewrap)",
    "git": "install git (apt-get install git)",
    "opa": "install OPA into /usr/local/bin, or name it in operator settings under helpers.opa",
}


@dataclass(frozen=True, slots=True)
class Helper:
    """A helper program that nobody else can have changed, and its digest."""

    name: HelperName
    path: Path
    sha256: Sha256


def find_helper(name: HelperName, configured: str | None = None) -> Helper | None:
    """Return the helper that operator settings name (`configured`), else the one on the system path, else None.

    Raises `UnsafePermissions` for one that others can change, `SettingsError` where the configured one is not there.
    """
    if configured is not None:
        path = Path(configured)
        if not path.is_absolute():
            raise SettingsError(f"helpers.{name} must be an absolute path", where=configured, fix="give the full path")
        return _checked(name, path)
    for folder in SYSTEM_PATH:
        if os.access(folder / name, os.X_OK):
            # A distribution may link the name to the program; the link lies in a folder that is checked as well.
            return _checked(name, Path(os.path.realpath(folder / name)))
    return None


def require_helper(name: HelperName, configured: str | None = None) -> Helper:
    """Return what `find_helper` does, or raise `SettingsError` that says how to get it."""
    helper = find_helper(name, configured)
    if helper is None:
        raise SettingsError(
            f"{name} is not installed", where=" and ".join(str(folder) for folder in SYSTEM_PATH), fix=_HOW_TO_GET[name]
        )
    return helper


def _checked(name: HelperName, path: Path) -> Helper:
    real = require_safe_file(path)
    state = os.stat(real)
    return Helper(name, real, _digest(real, state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns))


@lru_cache(maxsize=16)
def _digest(path: Path, *_version: int) -> Sha256:
    """Hash once a process: opa has 60 MB. Only root or the effective user can change the file meanwhile."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
