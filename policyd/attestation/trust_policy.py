"""What a trust policy lists: its roles, whose keys and identities they are, and which of them are in force.

A trust policy is checked as a whole wherever it is used: it is read here, and `trust` verifies signatures against it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import get_args

from policyd.attestation.keys import read_public_key
from policyd.attestation.timestamps import read_chain
from policyd.errors import DocumentError, KeyUnusable, SettingsError, UsageError
from policyd.models.base import Sha256
from policyd.models.strict_json import read_model
from policyd.models.trust import KEYS_ONLY, Algorithm, Role, RolePolicy, TrustedIdentity, TrustedKey, TrustPolicy

MAX_TRUST_POLICY_BYTES = 1024 * 1024


def read_trust_policy(content: bytes, *, where: str) -> TrustPolicy:
    """Return the trust policy in `content` (JSON), checked; `SettingsError` or `DocumentError` if it can't be used."""
    trust = read_model(
        TrustPolicy, content, where=where, max_bytes=MAX_TRUST_POLICY_BYTES, max_depth=16, error=SettingsError
    )
    check_trust_policy(trust, where=where)
    return trust


def check_trust_policy(trust: TrustPolicy, *, where: str = "trust policy") -> None:
    """Raise `SettingsError` for a trust policy that can't be used, or that contradicts itself.

    So are: a key, identity or certificate that can't be read; a key or identity that is listed twice or has two roles;
    a key of a kind that the trust policy does not allow; an identity in a role that signs without certificates, or of
    an instance that isn't there; a role that asks for witnesses and signs what has no room for them.
    """
    seen: dict[Sha256, Role] = {}
    for role, policy in trust.roles.items():
        _check_witnesses(role, policy, where)
        allowed = allowed_algorithms(trust, policy)
        for number, listed in enumerate(policy.keys, 1):
            place = f"{where}, roles.{role}.keys, key {number} ({listed.person})"
            try:
                key = read_public_key(listed.public_key, where="trust policy")
            except KeyUnusable as error:
                raise SettingsError(error.cause, where=place, fix=error.fix) from error
            if key.sha256 in seen:
                other = seen[key.sha256]
                raise SettingsError(
                    f"the key sha256:{key.sha256} is listed twice for {role}"
                    if other is role
                    else f"the key sha256:{key.sha256} has two roles, {other} and {role}",
                    where=place,
                    fix="make a key of its own for each role and person: policyd key new",
                )
            seen[key.sha256] = role
            # Here, so that no place where a signature is weighed can forget it.
            if key.kind not in allowed:
                raise SettingsError(
                    f"the key is {key.describe()}, and {role} may sign with {', '.join(sorted(allowed)) or 'nothing'}",
                    where=place,
                    fix="list a key of an allowed kind, or allow this kind in `algorithms`",
                )
    for authority in trust.timestamp_authorities:
        read_chain(authority.certificate_chain, where=f"{where}, timestamp_authorities, {authority.name}")
    if trust.instances or any(policy.identities for policy in trust.roles.values()):
        _check_identities(trust, where)


def _check_witnesses(role: Role, policy: RolePolicy, where: str) -> None:
    if policy.witnesses is None:
        return
    place = f"{where}, roles.{role}.witnesses"
    if role in KEYS_ONLY:
        raise SettingsError(
            f"the role {role} signs what has no room for timestamps and log entries",
            where=place,
            fix="take `witnesses` out: they are for roles that sign Sigstore bundles",
        )
    if policy.threshold > 1:
        raise SettingsError(
            f"{policy.threshold} persons sign an envelope, which has no room for timestamps and log entries",
            where=place,
            fix="take `witnesses` out, or lower `threshold` to 1: a Sigstore bundle has one signature",
        )


def _check_identities(trust: TrustPolicy, where: str) -> None:
    from policyd.attestation.keyless.identity import AskedIdentity
    from policyd.attestation.keyless.role import read_pinned_root

    instances = [instance.name for instance in trust.instances]
    if len(set(instances)) != len(instances):
        raise SettingsError(
            "an instance is listed twice", where=f"{where}, instances", fix="give each a name of its own"
        )
    for instance in trust.instances:
        try:
            read_pinned_root(instance.trusted_root)
        except DocumentError as error:
            raise SettingsError(error.cause, where=f"{where}, instances, {instance.name}", fix=error.fix) from error
    seen: dict[tuple[str, str | None, str | None, str], Role] = {}
    for role, policy in trust.roles.items():
        for number, listed in enumerate(policy.identities, 1):
            place = f"{where}, roles.{role}.identities, entry {number} ({listed.person})"
            if role in KEYS_ONLY:
                raise SettingsError(
                    f"the role {role} signs what has no room for a certificate",
                    where=place,
                    fix=f"list a key under roles.{role}.keys",
                )
            if listed.instance not in instances:
                raise SettingsError(
                    f"there is no instance {listed.instance}", where=place, fix="list it under `instances`"
                )
            try:
                AskedIdentity(issuer=listed.issuer, exact=listed.identity, pattern=listed.pattern)
            except UsageError as error:
                raise SettingsError(error.cause, where=place, fix=error.fix) from error
            name = (listed.issuer, listed.identity, listed.pattern, listed.instance)
            if name in seen:
                raise SettingsError(
                    f"the identity {listed.identity or listed.pattern} is listed twice, for {seen[name]} and {role}",
                    where=place,
                    fix="give each role identities of its own",
                )
            seen[name] = role


def allowed_algorithms(trust: TrustPolicy, policy: RolePolicy) -> frozenset[str]:
    """Return the kinds of keys that may sign for a role: those that the trust policy and the role both allow."""
    every = frozenset(get_args(Algorithm))
    return every.intersection(trust.algorithms or every, policy.algorithms or every)


def role_keys(trust: TrustPolicy) -> Mapping[Sha256, Role]:
    """Return the role of every key the trust policy lists, by fingerprint."""
    return {
        read_public_key(listed.public_key, where="trust policy").sha256: role
        for role, policy in trust.roles.items()
        for listed in policy.keys
    }


def find_listed(trust: TrustPolicy, key_sha256: Sha256) -> tuple[Role, TrustedKey] | None:
    """Return the role of a key and the trust policy's entry for it; None if it isn't listed."""
    for role, policy in trust.roles.items():
        for listed in policy.keys:
            if read_public_key(listed.public_key, where="trust policy").sha256 == key_sha256:
                return role, listed
    return None


def keys_in_force(trust: TrustPolicy, role: Role, *, now: datetime) -> tuple[TrustedKey, ...]:
    """Return the keys of `role` that count at `now`; none under a trust policy that has expired."""
    policy = trust.roles.get(role)
    if policy is None or (trust.expires_at is not None and now >= trust.expires_at):
        return ()
    return tuple(key for key in policy.keys if why_not_in_force(key, now) is None)


def why_not_in_force(listed: TrustedKey | TrustedIdentity, now: datetime) -> str | None:
    """Return why a listed key or identity does not count at `now`, in words; None where it does."""
    what = f"the {'key' if isinstance(listed, TrustedKey) else 'identity'} of {listed.person}"
    if listed.revoked_at is not None and now >= listed.revoked_at:
        return f"{what} was revoked at {listed.revoked_at.isoformat()}"
    if listed.valid_from is not None and now < listed.valid_from:
        return f"{what} is valid only from {listed.valid_from.isoformat()}"
    if listed.valid_until is not None and now >= listed.valid_until:
        return f"{what} was valid until {listed.valid_until.isoformat()}"
    return None


def persons_of(trust: TrustPolicy, role: Role, *, now: datetime) -> frozenset[str]:
    """Return the persons who have a key in force for `role`."""
    return frozenset(key.person for key in keys_in_force(trust, role, now=now))


def find_person(trust: TrustPolicy, role: Role, key_sha256: Sha256, *, now: datetime) -> str | None:
    """Return whose key this is, if it is in force for `role`; None if it isn't."""
    for listed in keys_in_force(trust, role, now=now):
        if read_public_key(listed.public_key, where="trust policy").sha256 == key_sha256:
            return listed.person
    return None


def find_person_listed(trusts: Iterable[TrustPolicy], role: Role, key_sha256: Sha256, *, now: datetime) -> str | None:
    """Return whose key this is in the first of `trusts` that lists it for `role`, in force at `now`; else None.

    Whether the trust policies have expired themselves is not asked: signing the next version is what mends that.
    """
    for trust in trusts:
        policy = trust.roles.get(role)
        for listed in () if policy is None else policy.keys:
            sha256 = read_public_key(listed.public_key, where="trust policy").sha256
            if sha256 == key_sha256 and why_not_in_force(listed, now) is None:
                return listed.person
    return None
