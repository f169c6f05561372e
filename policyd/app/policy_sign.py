"""`policyd policy sign`: an author's word for a bundle, inside it for OPA and beside it for everybody.

Only a key of the role `policy-author` signs here, and only after the bundle was read as a gate would read it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from policyd.adapters.output import read_input, write_output
from policyd.adapters.settings import require_authority
from policyd.adapters.signers.loading import load_signer
from policyd.app.bundled_sets import MAX_ATTESTATION_BYTES, attestation_path, read_bundle_bytes
from policyd.attestation.bundle import read_attestation, render_bundle
from policyd.attestation.dsse import Envelope, Signature, envelope_to_json
from policyd.attestation.keys import is_signed_by, read_public_key
from policyd.attestation.signing import Signer
from policyd.attestation.trust_policy import role_keys
from policyd.errors import DocumentError, KeyUnusable, ThresholdNotMet, UsageError
from policyd.models.base import Sha256
from policyd.models.canonical import sha256_hex
from policyd.models.policy_bundle import PolicySetPredicate
from policyd.models.statement import PAYLOAD_TYPE
from policyd.models.trust import Role, TrustPolicy
from policyd.policy.bundle_archive import read_archive, write_archive
from policyd.policy.bundle_files import SIGNATURES, BundleContent, read_bundle_files, read_bundled_set
from policyd.policy.bundle_signatures import render_signatures, verify_signatures
from policyd.policy.bundle_verify import policy_set_statement, verify_policy_bundle


@dataclass(frozen=True, slots=True)
class SignedPolicies:
    """What was signed, by whom, and what is still missing before a gate takes it."""

    bundle: Path
    attestation: Path
    sha256: Sha256  # of the bundle as it is now
    predicate: PolicySetPredicate
    key_sha256: Sha256
    missing: str | None  # why a gate would not take it yet: more authors have to sign


def sign_policies(
    bundle: Path, *, key: str | Path, password: Callable[[], str], settings: Path | None, now: datetime
) -> SignedPolicies:
    """Sign the bundle at `bundle` with an author's key; it is rewritten with its signature, the attestation beside it.

    A bundle that is signed already stays as it is and gets one more signature in its attestation, for trust policies
    that ask for several authors. Raises `KeyUnusable` for a key of another role or of none, `UsageError` for a bundle
    without version or expiry, and what `verify_policy_bundle` raises where a gate would refuse the outcome.
    """
    # 1. A key that the trust policy lists as an author's.
    authority = require_authority(settings, repository=None)
    signer = _load_author(key, password, authority.trust)

    # 2. The bundle, read as a gate reads it.
    where = str(bundle)
    files = read_archive(read_bundle_bytes(bundle), where=where)
    content = read_bundle_files(files, where=where)
    read_bundled_set(content, where=where, prefix=content.prefix)
    predicate = _make_predicate(content, where, now)

    # 3. OPA's signature inside: made once, and never replaced in what somebody else has signed.
    if SIGNATURES in files:
        verify_signatures(files, authority.trust, now=now, where=where)
    else:
        files[SIGNATURES] = render_signatures(files, signer)
    signed = write_archive(files, where=where)

    # 4. The attestation over the finished file: ours, beside those that say the same.
    statement = policy_set_statement(predicate, sha256_hex(signed))
    beside = attestation_path(bundle)
    attestation = _attest(statement, signer, beside)

    # 5. What a gate would make of it; only what is missing may still be missing.
    missing = None
    try:
        verify_policy_bundle(signed, attestation, authority.trust, now=now, where=where)
    except ThresholdNotMet as error:
        missing = error.cause

    # 6. Written only now. Cut short between the two, a gate refuses what is there, and signing again mends it.
    write_output(bundle, signed)
    write_output(beside, attestation)
    return SignedPolicies(bundle, beside, sha256_hex(signed), predicate, signer.key_sha256, missing)


def _load_author(key: str | Path, password: Callable[[], str], trust: TrustPolicy) -> Signer:
    signer = load_signer(key, password=password)
    role = role_keys(trust).get(signer.key_sha256)
    if role is not Role.POLICY_AUTHOR:
        held = f"this key has the role {role}" if role else "the trust policy does not list this key"
        raise KeyUnusable(
            f"{held}: only a policy author signs policy sets",
            where=str(key),
            fix=f"sign with a key listed in roles.{Role.POLICY_AUTHOR}.keys of the trust policy",
        )
    return signer


def _make_predicate(content: BundleContent, where: str, now: datetime) -> PolicySetPredicate:
    identity = content.identity
    if identity.version is None or identity.expires_at is None:
        raise UsageError(
            "the bundle has no version or no expiry: without both, an old one could be put back for ever",
            where=where,
            fix="make it again: policyd policy bundle --version N --expires TIME",
        )
    if now >= identity.expires_at:
        raise UsageError(
            f"the bundle expired at {identity.expires_at.isoformat()}",
            where=where,
            fix="make it again with a later --expires",
        )
    return PolicySetPredicate(
        name=identity.name,
        version=identity.version,
        expires_at=identity.expires_at,
        policy_set_sha256=content.manifest.revision,
    )


def _attest(statement: bytes, signer: Signer, beside: Path) -> bytes:
    """Return the attestation with our signature: a Sigstore bundle, or an envelope where others signed before.

    A Sigstore bundle has room for one signature. What lies there and says something else is replaced.
    """
    unsigned = Envelope(payload=statement, payload_type=PAYLOAD_TYPE, signatures=())
    signature = Signature(value=signer.sign(unsigned.signed_bytes()))
    others = _find_others(beside, statement)
    key = read_public_key(signer.public_key_pem, where="the key given")
    if any(is_signed_by(key, other.value, unsigned.signed_bytes()) for other in others):
        raise UsageError(
            "this key has signed the bundle already",
            where=str(beside),
            fix="nothing is left to do with this key; where several authors have to sign, use another's",
        )
    envelope = Envelope(payload=statement, payload_type=PAYLOAD_TYPE, signatures=(*others, signature))
    if not others:
        return render_bundle(envelope, key_sha256=signer.key_sha256)
    return json.dumps(envelope_to_json(envelope), separators=(",", ":")).encode() + b"\n"


def _find_others(beside: Path, statement: bytes) -> tuple[Signature, ...]:
    if not beside.exists():
        return ()
    try:
        envelope = read_attestation(read_input(beside, max_bytes=MAX_ATTESTATION_BYTES), where=str(beside))
    except DocumentError:
        return ()
    return envelope.signatures if (envelope.payload, envelope.payload_type) == (statement, PAYLOAD_TYPE) else ()
