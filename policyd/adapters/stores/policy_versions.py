"""The highest version of each signed policy set that was ever used, kept outside the store.

Whoever can put an old bundle in the place of a new one has signatures that still hold. What shows it is that this
machine has seen a later version; so that memory lies where a store put back to yesterday does not reach it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from policyd.adapters.stores.files import locked, write_whole
from policyd.adapters.stores.state import require_apart
from policyd.adapters.strict_modes import require_safe_folder
from policyd.errors import RecordError, StoreError, VerificationFailed
from policyd.models.base import Model, Name, Sha256
from policyd.models.policy_bundle import PolicySetPredicate, Version
from policyd.models.strict_json import read_model

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)
_MAX_BYTES = 4096


class SeenVersion(Model):
    """The highest version of one policy set, and the digest of its rules and data."""

    policyd: Literal["policy-version/v1"] = "policy-version/v1"
    name: Name
    version: Version
    policy_set_sha256: Sha256


class PolicyVersions:
    """The folder with one file for each policy set that was used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "policy-sets"

    @classmethod
    def create(cls, state: Path, *, store: Path) -> PolicyVersions:
        """Return the memory in the folder `state`, made if it is not there; it must lie apart from `store`."""
        require_apart(state, store)
        versions = cls(state)
        try:
            versions._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(versions._folder, error) from error
        require_safe_folder(versions._folder)
        return versions

    def require_forward(self, predicate: PolicySetPredicate, *, where: str) -> None:
        """Remember the version of `predicate`, durably, or raise `VerificationFailed` where a later one was seen.

        The same version with other rules or data is refused too: one version is one content.
        """
        path = self._folder / _plain(predicate.name)
        try:
            seen = self._find(path)
            if _is_current(seen, predicate, where):
                return
            with locked(self._folder):
                if not _is_current(self._find(path), predicate, where):  # another policyd may have been faster
                    write_whole(path, _remembered(predicate).to_json())
        except OSError as error:
            raise _unusable(path, error) from error

    def _find(self, path: Path) -> SeenVersion | None:
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        with os.fdopen(handle, "rb") as file:
            content = file.read(_MAX_BYTES + 1)
        seen = read_model(SeenVersion, content, where=str(path), max_bytes=_MAX_BYTES, max_depth=2, error=RecordError)
        if seen.name != path.name:
            raise RecordError(
                f"the file remembers the policy set {seen.name!r}",
                where=str(path),
                fix="find out who changed the state folder; with the file gone, the next version used is the first",
            )
        return seen


def _is_current(seen: SeenVersion | None, predicate: PolicySetPredicate, where: str) -> bool:
    """Say whether this very version was the last seen; raise where it would be a step back."""
    if seen is None or seen.version < predicate.version:
        return False
    if seen.version > predicate.version:
        raise VerificationFailed(
            f"version {predicate.version} of the policy set {predicate.name!r} is older than version {seen.version},"
            " which was used here before",
            where=where,
            fix=f"get version {seen.version} or a later one from its authors; an old one was put in its place",
        )
    if seen.policy_set_sha256 != predicate.policy_set_sha256:
        raise VerificationFailed(
            f"version {predicate.version} of the policy set {predicate.name!r} was used here before with other rules or"
            " data",
            where=where,
            fix="ask its authors for a bundle with a higher version: one version is one content",
        )
    return True


def _remembered(predicate: PolicySetPredicate) -> SeenVersion:
    return SeenVersion(name=predicate.name, version=predicate.version, policy_set_sha256=predicate.policy_set_sha256)


def _plain(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("not a policy set's name")
    return name


def _unusable(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"the state folder can't be used: {(error.strerror or str(error)).lower()}",
        where=str(path),
        fix="check that the folder is there and that you may use it",
    )
