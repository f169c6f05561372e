"""The highest version of each signed policy set that was ever used, kept outside the store.

That memory lies where a store put back to yesterday does not reach it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from policyd.adapters.stores.highest_versions import HighestVersions, Seen
from policyd.adapters.stores.state import require_apart
from policyd.adapters.stores.state_files import make_state_folder
from policyd.errors import VerificationFailed
from policyd.models.base import Sha256
from policyd.models.policy_bundle import PolicySetPredicate


class SeenVersion(Seen):
    """The highest version of one policy set, and the digest of its rules and data."""

    policyd: Literal["policy-version/v1"] = "policy-version/v1"
    policy_set_sha256: Sha256


class PolicyVersions:
    """The folder with one file for each policy set that was used."""

    def __init__(self, folder: Path) -> None:
        self._versions = HighestVersions(folder / "policy-sets", SeenVersion, what="policy set", refused=_refused)

    @classmethod
    def create(cls, state: Path, *, store: Path) -> PolicyVersions:
        """Return the memory in the folder `state`, made if it is not there; it must lie apart from `store`."""
        require_apart(state, store)
        versions = cls(state)
        make_state_folder(versions._versions.folder)
        return versions

    def require_forward(self, predicate: PolicySetPredicate, *, where: str) -> None:
        """Remember the version of `predicate`, durably, or raise `VerificationFailed` where a later one was seen.

        The same version with other rules or data is refused too: one version is one content.
        """
        offered = SeenVersion(
            name=predicate.name, version=predicate.version, policy_set_sha256=predicate.policy_set_sha256
        )
        self._versions.remember(offered, where=where)


def _refused(highest: SeenVersion, offered: SeenVersion, where: str) -> VerificationFailed:
    if highest.version > offered.version:
        return VerificationFailed(
            f"version {offered.version} of the policy set {offered.name!r} is older than version {highest.version},"
            " which was used here before",
            where=where,
            fix=f"get version {highest.version} or a later one from its authors; an old one was put in its place",
        )
    return VerificationFailed(
        f"version {offered.version} of the policy set {offered.name!r} was used here before with other rules or data",
        where=where,
        fix="ask its authors for a bundle with a higher version: one version is one content",
    )
