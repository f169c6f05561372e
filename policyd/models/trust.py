"""The trust policy: whose signature counts for what. Lives with the operator, never in the repository judged."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, model_validator

from policyd.models.base import Model, Name, Sha256
from policyd.models.policy_bundle import Version

#: What a signed trust policy is: the payload type of its envelope, and what the role `trust-author` may sign.
TRUST_POLICY_TYPE = "application/vnd.policyd.trust+yaml"

#: The kinds of keys policyd knows; the key alone says which it is.
Algorithm = Literal["ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519", "rsa"]
Algorithms = Annotated[tuple[Algorithm, ...], Field(min_length=1)]

#: Who else may have seen a signature: an RFC 3161 authority; a log, by a proof under a signed checkpoint or a promise.
Witness = Literal["timestamp", "inclusion-proof", "signed-entry-timestamp"]
Witnesses = Annotated[tuple[Witness, ...], Field(min_length=1)]
LOG_WITNESSES: frozenset[Witness] = frozenset({"inclusion-proof", "signed-entry-timestamp"})


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
    TRUST_AUTHOR = "trust-author"


#: Roles whose words stand in formats without certificates: checkpoints, and envelopes that several persons sign.
KEYS_ONLY = frozenset({Role.LOG, Role.REQUESTER, Role.WAIVER_APPROVER, Role.POLICY_AUTHOR, Role.TRUST_AUTHOR})


class TrustedKey(Model):
    """A public key, the person or service that holds it, and when it counts."""

    public_key: str  # PEM, SubjectPublicKeyInfo
    person: Annotated[str, Field(min_length=1)]
    valid_from: AwareDatetime | None = None
    valid_until: AwareDatetime | None = None
    revoked_at: AwareDatetime | None = None


class TrustedIdentity(Model):
    """A keyless identity, the person or service that has it, and for signatures of which time it counts."""

    person: Annotated[str, Field(min_length=1)]
    issuer: Annotated[str, Field(min_length=1)]  # of the certificate: the identity provider, compared exactly
    identity: Annotated[str, Field(min_length=1)] | None = None  # exactly
    pattern: Annotated[str, Field(min_length=1)] | None = None  # or a regular expression for the whole of it
    instance: Name  # one of `instances`
    valid_from: AwareDatetime | None = None
    valid_until: AwareDatetime | None = None
    revoked_at: AwareDatetime | None = None

    @model_validator(mode="after")
    def _is_named_in_one_way(self) -> TrustedIdentity:
        if (self.identity is None) == (self.pattern is None):
            raise ValueError("an identity is named by `identity` or by `pattern`, one of the two")
        return self


class RolePolicy(Model):
    """Whose signature is the role's word, how many distinct persons must sign, and the predicate types they may sign.

    Somebody has to be listed: by a key, or by a keyless identity.
    """

    keys: tuple[TrustedKey, ...] = ()
    identities: tuple[TrustedIdentity, ...] = ()
    threshold: Annotated[int, Field(ge=1)] = 1
    predicate_types: Annotated[tuple[str, ...], Field(min_length=1)]
    algorithms: Algorithms | None = None  # those of the trust policy where None; never more than those
    witnesses: Witnesses | None = None  # each of these; keys need none where None, identities always need a log

    @model_validator(mode="after")
    def _lists_somebody(self) -> RolePolicy:
        if not self.keys and not self.identities:
            raise ValueError("a role lists at least one key or identity")
        return self

    @property
    def listed(self) -> tuple[TrustedKey | TrustedIdentity, ...]:
        """Everybody who has the role, by whatever they speak."""
        return (*self.keys, *self.identities)


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


class Instance(Model):
    """A Sigstore instance: its `trusted_root.json`, whole, which is so pinned with the trust policy."""

    name: Name
    trusted_root: str  # JSON


class TrustPolicy(Model):
    """Roles, builders, verifiers and the policy sets whose decisions count. An empty list of anything means refuse."""

    policyd: Literal["trust/v1"]
    name: Name
    version: Version
    expires_at: AwareDatetime | None = None
    roles: dict[Role, RolePolicy]
    builders: tuple[TrustedBuilder, ...]
    verifiers: tuple[TrustedVerifier, ...] = ()
    policy_sets: tuple[Sha256, ...]
    timestamp_authorities: tuple[TimestampAuthority, ...] = ()
    instances: tuple[Instance, ...] = ()
    algorithms: Algorithms | None = None  # all that policyd knows where None
    min_bundle_version: Literal["v0.1", "v0.2", "v0.3"] = "v0.3"  # of attestations by the roles
