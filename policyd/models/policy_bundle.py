"""What a policy bundle says of itself: its `.manifest`, and the statement its authors sign over the finished file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from policyd.models.base import Model, Name, Sha256

#: A counter that every JSON reader keeps exactly.
Version = Annotated[int, Field(ge=1, le=2**53 - 1)]


class BundleIdentity(Model):
    """Which policy set a bundle holds. Without `version` and `expires_at` it can't be signed."""

    name: Name
    version: Version | None = None
    expires_at: AwareDatetime | None = None


class BundleMetadata(Model):
    """policyd's part of the manifest's `metadata`, which OPA keeps and does not read."""

    policyd: BundleIdentity


class BundleManifest(Model):
    """`.manifest` of an OPA bundle that policyd wrote. `revision` is the digest of the policy set.

    Closed: a field that OPA knows and policyd doesn't could change what an OPA server makes of the same files.
    """

    revision: Sha256
    roots: Annotated[tuple[str, ...], Field(min_length=1, max_length=1)]
    rego_version: Literal[1]
    metadata: BundleMetadata


class PolicySetPredicate(Model):
    """The predicate of `policy-set/v1`: which set, which version, until when."""

    name: Name
    version: Version
    expires_at: AwareDatetime
    policy_set_sha256: Sha256
