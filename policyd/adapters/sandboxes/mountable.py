"""Which folders of this machine an operator may show to a stage, as a tool or a target."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from policyd.errors import SettingsError

#: Never shown, and nothing below them.
_FORBIDDEN = tuple(Path(path) for path in ("/boot", "/dev", "/etc", "/proc", "/root", "/run", "/sys"))
#: Never shown as a whole; operators may name folders of their own below these, one by one.
_FORBIDDEN_WHOLE = tuple(Path(path) for path in ("/", "/home", "/mnt", "/opt", "/srv", "/tmp", "/usr", "/var"))  # noqa: S108  # refused


def require_mountable(folder: Path, *, what: str, apart_from: Sequence[Path] = ()) -> Path:
    """Return the real path of a folder that a stage may be shown, or raise `SettingsError`.

    It is none of the system's own folders, and neither holds nor lies in what `apart_from` names (the store, the
    checkout, keys). A unix socket in it would work for the stage even read-only; `folder_tool` refuses such a folder.
    """
    real = Path(os.path.realpath(folder))
    try:
        is_folder = stat.S_ISDIR(real.stat().st_mode)
    except OSError:
        is_folder = False
    if not folder.is_absolute() or not is_folder:
        raise SettingsError(f"{what} is not a folder", where=str(folder), fix="name an absolute path of a folder")
    if real in _FORBIDDEN_WHOLE or any(real.is_relative_to(path) for path in _FORBIDDEN):
        raise SettingsError(
            f"{what} must not be {real}: a stage never sees this", where=str(folder), fix="name a folder made for it"
        )
    for other in apart_from:
        other_real = Path(os.path.realpath(other))
        if real.is_relative_to(other_real) or other_real.is_relative_to(real):
            raise SettingsError(
                f"{what} overlaps {other_real}, which a stage never sees",
                where=str(folder),
                fix="name a folder that neither holds nor lies in it",
            )
    return real


def can_reach(folder: Path, uid: int | None) -> bool:
    """Say whether the uid stages run as (None: our own) may enter `folder` and every folder above it.

    Another uid than ours is in no group of ours, so only what a folder allows to its owner and to others counts.
    """
    if uid is None:
        return True
    real = Path(os.path.realpath(folder))
    for place in (real, *real.parents):
        state = place.stat()
        needed = stat.S_IXUSR if state.st_uid == uid else stat.S_IXGRP if state.st_gid == uid else stat.S_IXOTH
        if not state.st_mode & needed:
            return False
    return True


def require_reachable(folder: Path, uid: int | None, *, what: str) -> None:
    """Raise `SettingsError` unless the uid stages run as may enter `folder`."""
    if not can_reach(folder, uid):
        raise SettingsError(
            f"{what} can't be reached by uid {uid}, as which stages run",
            where=str(folder),
            fix=f"let others pass (chmod o+x) from / down to it, or move it, for example below /srv; chown it to {uid}"
            " if stages write there",
        )
