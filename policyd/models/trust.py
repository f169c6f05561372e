"""The trust policy: whose signature counts for what. Lives with the operator, never in the repository judged."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from policyd.models.base import Model, Name, Sha256


class Role(StrEnum):
    """What a key is for. No key has two roles."""

    DECIDER = "decider"
    BUILDER = "builder"
    VERIFIER = "verifier"
    LOG = "log"
    APPROVER = "approver"
    REQUESTER = "requester"
    WAIVER_APPROVER = "waiver-approver"
    POLICY_AUTHOR = "policy-author"
    SCANNER = "scanner"


class TrustedKey(Model):
    """A public key, the person or service that holds it, and when it counts."""

    public_key: str  # PEM, SubjectPublicKeyInfo
    person: Annotated[str, Field(min_length=1)]
    valid_from: AwareDatetime | None = None
    valid_until: AwareDatetime | None = None
    revoked_at: AwareDatetime | None = None


class RolePolicy(Model):
    """The keys of a role, how many distinct persons must sign, and the predicate types they may sign."""

    keys: Annotated[tuple[TrustedKey, ...], Field(min_length=1)]
    threshold: Annotated[int, Field(ge=1)] = 1
    predicate_types: Annotated[tuple[str, ...], Field(min_length=1)]


class TrustedBuilder(Model):
    """The highest SLSA Build level that a builder id signed by a key may claim."""

    id: str
    key_sha256: Sha256  # of the public key's SubjectPublicKeyInfo DER
    max_level: Annotated[int, Field(ge=0, le=3)]


class TrustedVerifier(Model):
    """A verifier id and the key that may speak for it: consumers of a VSA accept only such pairs (SLSA v1.2)."""

    id: str
    key_sha256: Sha256


class TimestampAuthority(Model):
    """An RFC 3161 authority whose word on time counts, for times within its window."""

    name: Name
    certificate_chain: str  # PEM: the signer's certificate (may be left out), those between, the root
    valid_from: AwareDatetime | None = None
    valid_until: AwareDatetime | None = None


class TrustPolicy(Model):
    """Roles, builders, verifiers and the policy sets whose decisions count. An empty list of anything means refuse."""

    policyd: Literal["trust/v1"]
    name: Name
    version: Annotated[int, Field(ge=1)]
    expires_at: AwareDatetime | None = None
    roles: dict[Role, RolePolicy]
    builders: tuple[TrustedBuilder, ...]
    verifiers: tuple[TrustedVerifier, ...] = ()
    policy_sets: tuple[Sha256, ...]
    timestamp_authorities: tuple[TimestampAuthority, ...] = ()
