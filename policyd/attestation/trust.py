"""Verification against a trust policy: the one place where signed bytes become a `VerifiedStatement`.

Whose signature counts is decided by role. For an envelope of a role every signature is tried against every key of that
role; key ids and hints are never asked. Keys map to persons, and a threshold counts persons. Where nothing is listed,
nothing is trusted.

A signature counts for a key of the role, or for a keyless identity of it: the certificate then says who signed, and the
instance that the trust policy pins says when. Such a signature has a time of its own, and that is what the identity's
window and revocation are judged by.

A managed key has no time of its own, so its window and revocation are judged at `now`: whoever holds a revoked key can
write any date into what they sign. Where a timestamp by an authority of the trust policy shows that a signature existed
earlier, while its key was in force, that counts too (`timestamps`).

Source: DSSE v1.0.2, protocol.md, "Multi-signature Verification"; in-toto Attestation Framework v1.2.0, validation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from policyd.attestation.asked_witnesses import require_brought, verify_key_witnesses
from policyd.attestation.bundle import Bundle, read_attestation, read_bundle, require_attestation
from policyd.attestation.dsse import MAX_ENVELOPE_BYTES, Envelope
from policyd.attestation.keys import PublicKey, is_signed_by, read_public_key
from policyd.attestation.material import BundleVersion
from policyd.attestation.subjects import MAX_DEPTH, Digests, Subject, read_statement
from policyd.attestation.timestamps import find_times
from policyd.attestation.trust_policy import allowed_algorithms, check_trust_policy, why_not_in_force
from policyd.errors import (
    DocumentError,
    IdentityNotTrusted,
    SettingsError,
    SignatureInvalid,
    SubjectMismatch,
    ThresholdNotMet,
    VerificationFailed,
)
from policyd.models.base import Sha256
from policyd.models.statement import APPROVAL_V1, PAYLOAD_TYPE, Statement
from policyd.models.strict_json import read_model
from policyd.models.trust import Role, RolePolicy, TrustedKey, TrustPolicy

if TYPE_CHECKING:
    from pydantic import BaseModel

    M = TypeVar("M", bound=BaseModel)

MAX_STATEMENT_DEPTH = MAX_DEPTH
_VERSIONS = {str(version): version for version in BundleVersion}


@dataclass(frozen=True, slots=True)
class VerifiedStatement:
    """A statement parsed from bytes whose signatures met the threshold. Built in this module alone."""

    payload: bytes
    statement: Statement
    subjects: tuple[Subject, ...]  # what it speaks of; never empty
    role: Role | None  # None where a key was given instead of a trust policy
    signers: frozenset[str]  # persons; fingerprints where a key was given
    key_sha256s: frozenset[Sha256]
    times: tuple[datetime, ...] = ()  # of a keyless signature: when it was made, by everybody who proves a time

    def subject_sha256s(self) -> frozenset[Sha256]:
        """Return the SHA-256 of every subject; never empty. `SubjectMismatch` where one is named by another digest."""
        if any("sha256" not in subject.digests for subject in self.subjects):
            raise SubjectMismatch(
                "a subject is not named by SHA-256", where="statement", fix="name every subject by its SHA-256"
            )
        return frozenset(subject.digests["sha256"].hex() for subject in self.subjects)

    def is_of(self, digests: Digests) -> bool:
        """Say whether one of its subjects is the artifact with `digests`."""
        return any(subject.is_of(digests) for subject in self.subjects)

    def read_predicate(self, model: type[M], *, where: str) -> M:
        """Return the predicate as a `model`; `VerificationFailed` if it does not fit."""
        # The predicate is a part of the payload already parsed strictly; pydantic's strict mode reads JSON only.
        content = json.dumps(self.statement.predicate).encode()
        try:
            return read_model(
                model, content, where=where, max_bytes=2 * MAX_ENVELOPE_BYTES, max_depth=MAX_STATEMENT_DEPTH
            )
        except DocumentError as error:
            raise _refused(
                f"the predicate {self.statement.predicate_type} is malformed: {error.cause}", where
            ) from error


def verify_bundle(content: bytes, trust: TrustPolicy, *, role: Role, now: datetime, where: str) -> VerifiedStatement:
    """Read an attestation (bundle or bare envelope) and verify it: by a key of the role, or by an identity of it.

    A bundle with a certificate counts for an identity and never for a key, nor the other way round. Raises as
    `verify_envelope` does, and `DocumentError` for what is no bundle of a version that the trust policy takes.
    """
    bundle = read_bundle(content, where=where, oldest=_VERSIONS[trust.min_bundle_version])
    if bundle.material.certificates:
        return _verify_keyless(bundle, trust, role=role, now=now, where=where)
    return verify_envelope(
        require_attestation(bundle, where=where), trust, role=role, now=now, where=where, bundle=bundle
    )


def verify_envelope(
    envelope: Envelope,
    trust: TrustPolicy,
    *,
    role: Role,
    now: datetime,
    where: str,
    bundle: Bundle | None = None,
) -> VerifiedStatement:
    """Return the statement in `envelope` if `role` may have made it, as of `now` (with time zone).

    `bundle` is the Sigstore bundle that the envelope came in, where it did: its one signature may have witnesses.
    Raises `SettingsError` for a trust policy that can't be used, `SignatureInvalid`, `IdentityNotTrusted` or
    `ThresholdNotMet` by what is wrong with the signatures, and `VerificationFailed` or `SubjectMismatch` for signed
    bytes that are no statement of this role.
    """
    # 1. The trust policy: in force, no key in two roles, and somebody listed for this role.
    policy = _require_role(trust, role, now, where)

    # 2. The payload type, before anything looks at the payload.
    _require_in_toto(envelope, where)

    # 3 to 6. Enough persons, by keys of the role that count, before the witnesses that it asks for.
    signers, in_force = require_signers(envelope, trust, role=role, policy=policy, now=now, where=where, bundle=bundle)

    return _read_signed(envelope, role, policy, signers, in_force, where)


def require_signers(
    envelope: Envelope,
    trust: TrustPolicy,
    *,
    role: Role,
    policy: RolePolicy,
    now: datetime,
    where: str,
    bundle: Bundle | None = None,
) -> tuple[frozenset[str], frozenset[Sha256]]:
    """Return the persons who signed and the keys they signed with, if they are as many as `policy` asks for.

    Steps 3 to 6 of `verify_envelope`, for signed bytes of any kind: the payload is not looked at.
    """
    # 3. Every signature against every key of the role. Key ids are not looked at.
    listed = {read_public_key(entry.public_key, where="trust policy").sha256: entry for entry in policy.keys}
    keys = [read_public_key(entry.public_key, where="trust policy") for entry in policy.keys]
    signed_by = _find_signers(envelope, keys)

    # 4. Only keys that are in force now, or were when a timestamp shows that the signature was there.
    problems = {key: why_not_in_force(listed[key], now) for key in signed_by}
    if bundle is not None and bundle.timestamps and any(problems.values()):
        problems = _judge_by_timestamps(problems, listed, envelope, bundle.timestamps, trust, now)
    in_force = frozenset(key for key, problem in problems.items() if problem is None)

    # 5. The threshold. One key under two key ids, or two keys of one person, count once: sets of fingerprints, then of
    #    persons.
    signers = frozenset(listed[key].person for key in in_force)
    if not signed_by:
        raise _explain_no_signer(envelope, trust, role, where)
    if not signers:
        raise IdentityNotTrusted(
            "; ".join(sorted(problem for problem in problems.values() if problem)),
            where=where,
            fix=f"have it signed by a key that is in force for the role {role}",
        )
    _require_threshold(signers, role, policy, where)

    # 6. The witnesses that the role asks for.
    if policy.witnesses:
        counting = [key for key in keys if key.sha256 in in_force]
        verify_key_witnesses(bundle, counting, policy.witnesses, trust, role=role, now=now, where=where)
    return signers, in_force


def _verify_keyless(bundle: Bundle, trust: TrustPolicy, *, role: Role, now: datetime, where: str) -> VerifiedStatement:
    """Return the statement in a bundle whose signer has a certificate, as `verify_envelope` does for keys."""
    from policyd.attestation.keyless.role import verify_role_identities

    # 1 and 2. As for keys.
    policy = _require_role(trust, role, now, where)
    envelope = require_attestation(bundle, where=where)
    _require_in_toto(envelope, where)

    # 3. An identity of the role, with everything that its instance has to show.
    held = verify_role_identities(
        bundle,
        policy.identities,
        trust.instances,
        allowed=allowed_algorithms(trust, policy),
        role=role,
        now=now,
        where=where,
    )

    # 4. The witnesses that the role asks for. All that the bundle brings was found good, so they only have to be there.
    require_brought(bundle, policy.witnesses or (), role=role, where=where)

    # 5. That counted at every time which was proven.
    counting, problems = [], []
    for signer in held:
        reasons = [reason for time in signer.times if (reason := why_not_in_force(signer.listed, time)) is not None]
        if signer.times and not reasons:
            counting.append(signer)
        problems += reasons
    if not counting:
        raise IdentityNotTrusted(
            "; ".join(dict.fromkeys(problems)) or "nothing proves when it was signed",
            where=where,
            fix=f"have it signed by an identity that is in force for the role {role}",
        )

    # 6. The threshold: a bundle has one signature, so one person at most, whoever else has this identity too.
    signers = frozenset({counting[0].listed.person})
    _require_threshold(signers, role, policy, where)
    verified = _read_signed(envelope, role, policy, signers, frozenset({counting[0].key_sha256}), where)
    return replace(verified, times=counting[0].times)


def _require_threshold(signers: frozenset[str], role: Role, policy: RolePolicy, where: str) -> None:
    if len(signers) < policy.threshold:
        raise ThresholdNotMet(
            f"{len(signers)} of the {policy.threshold} required persons signed ({', '.join(sorted(signers))})",
            where=where,
            fix=f"ask another person listed for the role {role} to sign",
        )


def _read_signed(
    envelope: Envelope,
    role: Role,
    policy: RolePolicy,
    signers: frozenset[str],
    key_sha256s: frozenset[Sha256],
    where: str,
) -> VerifiedStatement:
    # 7. The statement, parsed from the bytes that were verified.
    statement, subjects = read_statement(envelope.payload, where=where)

    # 8. The predicate type is one that this role may sign.
    require_may_sign(role, policy, statement.predicate_type, where=where)
    return VerifiedStatement(
        payload=envelope.payload,
        statement=statement,
        subjects=subjects,
        role=role,
        signers=signers,
        key_sha256s=key_sha256s,
    )


def require_may_sign(role: Role, policy: RolePolicy, predicate_type: str, *, where: str) -> None:
    """Raise `IdentityNotTrusted` unless the trust policy lets `role` sign this type, and the type is that role's."""
    if predicate_type == APPROVAL_V1 and role is not Role.APPROVER:
        raise IdentityNotTrusted(
            f"the role {role} can't approve, whatever the trust policy lets it sign",
            where=where,
            fix=f"have it signed by the role {Role.APPROVER}",
        )
    if predicate_type not in policy.predicate_types:
        raise IdentityNotTrusted(
            f"the role {role} may not sign the predicate type {predicate_type}",
            where=where,
            fix=f"the trust policy lists what {role} may sign in roles.{role}.predicate_types",
        )


def require_key_in_force(
    trust: TrustPolicy, *, role: Role, now: datetime, where: str, is_signer: Callable[[PublicKey], bool]
) -> TrustedKey:
    """Return the key of `role` that signed, as of `now`; for formats that hold one signature and are no envelope.

    `is_signer` says of a key whether it signed. No threshold is asked for: who needs one verifies an envelope too.
    Raises as `verify_envelope` does.
    """
    # 1. The trust policy, and somebody listed for this role.
    policy = _require_role(trust, role, now, where)
    # 2. Every key of the role is tried; hints are not looked at.
    signed = [listed for listed in policy.keys if is_signer(read_public_key(listed.public_key, where="trust policy"))]
    if not signed:
        raise SignatureInvalid(
            f"no signature by a key of the role {role}",
            where=where,
            fix="it was changed or signed by somebody else, or the trust policy lacks the key that signed it",
        )
    # 3. Only a key that is in force now.
    problem = why_not_in_force(signed[0], now)
    if problem is not None:
        raise IdentityNotTrusted(
            problem, where=where, fix=f"have it signed by a key that is in force for the role {role}"
        )
    return signed[0]


def verify_with_key(content: bytes, public_key_pem: str, *, where: str) -> VerifiedStatement:
    """Return the statement in an attestation signed by the given key, without a trust policy.

    Says who signed and nothing about what they may sign. Raises as `verify_envelope`.
    """
    envelope = read_attestation(content, where=where)
    key = read_public_key(public_key_pem, where="the public key given")
    _require_in_toto(envelope, where)
    signed_by = _find_signers(envelope, [key])
    if not signed_by:
        raise SignatureInvalid(
            f"not signed by the key sha256:{key.sha256}", where=where, fix="check that this is the signer's key"
        )
    statement, subjects = read_statement(envelope.payload, where=where)
    return VerifiedStatement(
        payload=envelope.payload,
        statement=statement,
        subjects=subjects,
        role=None,
        signers=frozenset(f"sha256:{sha256}" for sha256 in signed_by),
        key_sha256s=signed_by,
    )


def _require_role(trust: TrustPolicy, role: Role, now: datetime, where: str) -> RolePolicy:
    """Return what the trust policy, in force and without a key in two roles, says of `role`."""
    if trust.expires_at is not None and now >= trust.expires_at:
        raise SettingsError(
            f"the trust policy expired at {trust.expires_at.isoformat()}",
            where=f"trust policy {trust.name}, version {trust.version}",
            fix="get the current version from whoever maintains it",
        )
    check_trust_policy(trust, where=f"trust policy {trust.name}")
    policy = trust.roles.get(role)
    if policy is None:
        raise IdentityNotTrusted(
            f"the trust policy lists no key for the role {role}",
            where=where,
            fix=f"add roles.{role} to the trust policy",
        )
    return policy


def _require_in_toto(envelope: Envelope, where: str) -> None:
    if envelope.payload_type != PAYLOAD_TYPE:
        raise _refused(f"the payload type is {envelope.payload_type}, not {PAYLOAD_TYPE}", where)


def _find_signers(envelope: Envelope, keys: Iterable[PublicKey]) -> frozenset[Sha256]:
    message = envelope.signed_bytes()
    return frozenset(
        key.sha256
        for key in keys
        for signature in envelope.signatures
        if is_signed_by(key, signature.value, message, or_prehashed=True)
    )


def _judge_by_timestamps(
    problems: Mapping[Sha256, str | None],
    listed: Mapping[Sha256, TrustedKey],
    envelope: Envelope,
    timestamps: Sequence[bytes],
    trust: TrustPolicy,
    now: datetime,
) -> dict[Sha256, str | None]:
    """Return `problems` without those that do not stand at a time when the signature verifiably existed."""
    # With several signatures nothing would say whose of them a timestamp is; a Sigstore bundle has one.
    if len(envelope.signatures) != 1:
        return dict(problems)
    times = find_times(timestamps, envelope.signatures[0].value, trust.timestamp_authorities, now=now)
    judged: dict[Sha256, str | None] = {}
    for key, problem in problems.items():
        then = [why_not_in_force(listed[key], time.moment) for time in times.verified]
        if problem is None or None in then:
            judged[key] = None
        else:
            why = (*times.problems, *(f"at its timestamp {reason}" for reason in then if reason))
            judged[key] = f"{problem} ({'; '.join(why)})" if why else problem
    return judged


def _explain_no_signer(envelope: Envelope, trust: TrustPolicy, role: Role, where: str) -> VerificationFailed:
    for other, policy in trust.roles.items():
        keys = [read_public_key(entry.public_key, where="trust policy") for entry in policy.keys]
        if other is not role and _find_signers(envelope, keys):
            return IdentityNotTrusted(
                f"signed by a key of the role {other}, where the role {role} has to sign",
                where=where,
                fix=f"a {other} can't speak for the {role}; find out where this evidence comes from",
            )
    return SignatureInvalid(
        f"no signature by a key of the role {role}",
        where=where,
        fix="the evidence was changed, or the trust policy lacks the key that signed it",
    )


def _refused(cause: str, where: str) -> VerificationFailed:
    return VerificationFailed(cause, where=where, fix="ask the signer for a statement that follows in-toto v1")
