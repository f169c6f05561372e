"""The highest version of each trust policy that was pinned here, kept apart from the settings that name one.

Settings put back to yesterday name an old trust policy by a digest that is right: with it, keys come back that a later
version took away. That a later one was pinned on this machine is what shows it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from policyd.adapters.stores.highest_versions import HighestVersions, Seen
from policyd.adapters.stores.state_files import make_state_folder
from policyd.errors import VerificationFailed
from policyd.models.base import Sha256


class PinnedVersion(Seen):
    """The highest version of one trust policy that was pinned, and its document's digest."""

    policyd: Literal["trust-version/v1"] = "trust-version/v1"
    sha256: Sha256


class TrustVersions:
    """The folder with one file for each trust policy that was pinned."""

    def __init__(self, state: Path) -> None:
        self._versions = HighestVersions(
            state / "trust-policies", PinnedVersion, what="trust policy", refused=self._refused
        )

    def require_not_behind(self, name: str, version: int, sha256: Sha256, *, where: str) -> None:
        """Raise `VerificationFailed` where a later version was pinned here, or this one with another content."""
        self._versions.require_not_behind(PinnedVersion(name=name, version=version, sha256=sha256), where=where)

    def remember(self, name: str, version: int, sha256: Sha256, *, where: str) -> None:
        """Remember, durably, that this version was pinned; raises as `require_not_behind` rather than go back."""
        make_state_folder(self._versions.folder)
        self._versions.remember(PinnedVersion(name=name, version=version, sha256=sha256), where=where)

    def _refused(self, highest: PinnedVersion, offered: PinnedVersion, where: str) -> VerificationFailed:
        file = self._versions.path(offered.name)
        fix = f"put the trust policy back that was pinned, or remove {file} if you know why it went back"
        if highest.version > offered.version:
            return VerificationFailed(
                f"version {offered.version} of the trust policy {offered.name!r} is older than version"
                f" {highest.version}, which was pinned here",
                where=where,
                fix=fix,
            )
        return VerificationFailed(
            f"version {offered.version} of the trust policy {offered.name!r} was pinned here with another content",
            where=where,
            fix=fix,
        )
