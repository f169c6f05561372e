"""Whose policy sets count: those of the organisation and of teams have to be listed in the trust policy.

A project's rules only add to theirs and can be whatever the project likes, so they need no entry.
"""

from __future__ import annotations

from collections.abc import Iterable

from policyd.errors import IdentityNotTrusted
from policyd.models.plan import LayerRef
from policyd.models.trust import TrustPolicy


def find_unlisted(layers: Iterable[LayerRef], trust: TrustPolicy) -> LayerRef | None:
    """Return the first layer of the organisation or a team whose policy set the trust policy does not list."""
    return next((ref for ref in layers if ref.layer != "project" and ref.sha256 not in trust.policy_sets), None)


def require_listed(layers: Iterable[LayerRef], trust: TrustPolicy, *, where: str) -> None:
    """Raise `IdentityNotTrusted` unless the trust policy lists the sets of all layers above the project's.

    `where` is the trust policy's file.
    """
    unlisted = find_unlisted(layers, trust)
    if unlisted is not None:
        raise IdentityNotTrusted(
            f"the policy set {unlisted.name} (sha256:{unlisted.sha256}) is not one that the trust policy allows",
            where=where,
            fix="if you know why it changed, add this digest to policy_sets and pin the trust policy anew",
        )
