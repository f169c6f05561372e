"""The highest version of each trust policy that was pinned here, kept apart from the settings that name one.

Settings put back to yesterday name an old trust policy by a digest that is right: with it, keys come back that a later
version took away. That a later one was pinned on this machine is what shows it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from policyd.adapters.stores.files import locked, write_whole
from policyd.adapters.strict_modes import require_safe_folder
from policyd.errors import RecordError, StoreError, VerificationFailed
from policyd.models.base import Model, Name, Sha256
from policyd.models.policy_bundle import Version
from policyd.models.strict_json import read_model

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)
_MAX_BYTES = 4096


class PinnedVersion(Model):
    """The highest version of one trust policy that was pinned, and its document's digest."""

    policyd: Literal["trust-version/v1"] = "trust-version/v1"
    name: Name
    version: Version
    sha256: Sha256


class TrustVersions:
    """The folder with one file for each trust policy that was pinned."""

    def __init__(self, state: Path) -> None:
        self._folder = state / "trust-policies"

    def require_not_behind(self, name: str, version: int, sha256: Sha256, *, where: str) -> None:
        """Raise `VerificationFailed` where a later version was pinned here, or this one with another content."""
        pinned = self._find(self._path(name))
        if pinned is None or (pinned.version < version):
            return
        fix = f"put the trust policy back that was pinned, or remove {self._path(name)} if you know why it went back"
        if pinned.version > version:
            raise VerificationFailed(
                f"version {version} of the trust policy {name!r} is older than version {pinned.version},"
                " which was pinned here",
                where=where,
                fix=fix,
            )
        if pinned.sha256 != sha256:
            raise VerificationFailed(
                f"version {version} of the trust policy {name!r} was pinned here with another content",
                where=where,
                fix=fix,
            )

    def remember(self, name: str, version: int, sha256: Sha256, *, where: str) -> None:
        """Remember, durably, that this version was pinned; raises as `require_not_behind` rather than go back."""
        path = self._path(name)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            require_safe_folder(self._folder)
            with locked(self._folder):
                self.require_not_behind(name, version, sha256, where=where)
                write_whole(path, PinnedVersion(name=name, version=version, sha256=sha256).to_json())
        except OSError as error:
            raise _unusable(path, error) from error

    def _find(self, path: Path) -> PinnedVersion | None:
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unusable(path, error) from error
        with os.fdopen(handle, "rb") as file:
            content = file.read(_MAX_BYTES + 1)
        pinned = read_model(
            PinnedVersion, content, where=str(path), max_bytes=_MAX_BYTES, max_depth=2, error=RecordError
        )
        if pinned.name != path.name:
            raise RecordError(
                f"the file remembers the trust policy {pinned.name!r}",
                where=str(path),
                fix="find out who changed the state folder; with the file gone, the next version pinned is the first",
            )
        return pinned

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError("not a trust policy's name")
        return self._folder / name


def _unusable(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"the state folder can't be used: {(error.strerror or str(error)).lower()}",
        where=str(path),
        fix="check that the folder is there and that you may use it",
    )
