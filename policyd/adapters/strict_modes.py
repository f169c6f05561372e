"""Files that carry authority belong to root or to us, and nobody else can change them (sshd's StrictModes).

A settings file, key or helper program is only as trustworthy as the last person who could write it or swap a folder
above it. So every component from `/` down is looked at: its owner is root or the effective user, neither group nor
others can write it. A sticky folder such as /tmp may stand above, because nobody can rename another's entry there.
A link may stand above where its owner is safe too (`/bin` on Debian); what is named itself is never a link.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from policyd.errors import SettingsError, UnsafePermissions

MAX_LINKS = 40  # as the kernel: a ring of links ends


def require_safe_file(path: Path) -> Path:
    """Return the real absolute path of the regular file `path`, or raise `UnsafePermissions`.

    Raises `SettingsError` where there is no such file.
    """
    found, state = _require_safe_way(path)
    if not stat.S_ISREG(state.st_mode):
        raise _unsafe(path, "is not a regular file", "name the file itself")
    _require_unwritable(found, state)
    return found


def require_safe_folder(path: Path, *, sticky: bool = False) -> Path:
    """Return the real absolute path of the folder `path`, or raise `UnsafePermissions`.

    With `sticky`, a folder such as /var/tmp will do, where anyone may make entries but not touch those of others.
    Raises `SettingsError` where there is no such folder.
    """
    found, state = _require_safe_way(path)
    if not stat.S_ISDIR(state.st_mode):
        raise _unsafe(path, "is not a folder", "name a folder")
    _require_unwritable(found, state, sticky=sticky)
    return found


def read_safe_file(path: Path, *, max_bytes: int) -> bytes:
    """Return the content of `path` after `require_safe_file`, checked again on the open file.

    Raises `SettingsError` beyond `max_bytes`.
    """
    found = require_safe_file(path)
    try:
        descriptor = os.open(found, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise _unreadable(path, error) from error
    with os.fdopen(descriptor, "rb") as file:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise _unsafe(path, "is not a regular file", "name the file itself")
        _require_unwritable(found, state)
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise SettingsError(f"the file is larger than {max_bytes} bytes", where=str(path), fix="name the right file")
    return content


def _require_safe_way(path: Path) -> tuple[Path, os.stat_result]:
    """Walk from `/` to `path`; return the real path and the state of what is there. Every folder above is safe."""
    path = path.absolute()  # keeps "..", which means something else behind a link
    waiting = list(reversed(path.parent.parts))
    here, links = Path("/"), 0
    _require_unwritable(here, _state(here, path), sticky=True)
    while waiting:
        name = waiting.pop()
        if name == "/":
            here = Path("/")
            continue
        here = here.parent if name == ".." else here / name
        state = _state(here, path)
        if stat.S_ISLNK(state.st_mode):
            links += 1
            if links > MAX_LINKS:
                raise _unsafe(path, "lies behind too many links", "name the real path")
            _require_owner(here, state)
            waiting.extend(reversed(Path(os.readlink(here)).parts))
            here = here.parent
            continue
        if not stat.S_ISDIR(state.st_mode):
            raise _unsafe(path, f"{here} is not a folder", "name the real path")
        _require_unwritable(here, state, sticky=True)
    if path.name in ("", ".."):
        raise SettingsError("the path names nothing below a folder", where=str(path), fix="give the full path")
    found = here / path.name
    state = _state(found, path)
    if stat.S_ISLNK(state.st_mode):
        raise _unsafe(path, "is a link", f"name {os.path.realpath(found)} itself")
    return found, state


def _require_owner(path: Path, state: os.stat_result) -> None:
    if state.st_uid not in (0, os.geteuid()):
        raise _unsafe(
            path, f"belongs to user {state.st_uid}, who could change it", f"chown it to root or to user {os.geteuid()}"
        )


def _require_unwritable(path: Path, state: os.stat_result, *, sticky: bool = False) -> None:
    _require_owner(path, state)
    if sticky and state.st_mode & stat.S_ISVTX:
        return
    if state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise _unsafe(path, f"can be written by others (mode {state.st_mode & 0o7777:04o})", f"chmod go-w '{path}'")


def _state(here: Path, path: Path) -> os.stat_result:
    try:
        return os.lstat(here)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> SettingsError:
    return SettingsError(
        f"can't be read: {(error.strerror or 'unknown error').lower()}", where=str(path), fix="check the path"
    )


def _unsafe(path: Path, cause: str, fix: str) -> UnsafePermissions:
    return UnsafePermissions(f"this path carries authority and {cause}", where=str(path), fix=fix)
