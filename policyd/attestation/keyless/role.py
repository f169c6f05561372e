"""Keyless identities in roles of the trust policy: the certificate says who signed, the pinned instance when.

The same checks as for an identity that is asked for directly (`instance`, 5 to 10). Whether the identity counted at the
times that they prove is `trust`'s to say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from policyd.attestation.bundle import Bundle, signature_of
from policyd.attestation.dsse import Envelope
from policyd.attestation.findings import Findings
from policyd.attestation.keyless.identity import AskedIdentity, require_identity
from policyd.attestation.keyless.instance import verify_by_instance
from policyd.attestation.keyless.leaf import Leaf, read_leaf
from policyd.attestation.keyless.trusted_root import TrustedRoot, read_trusted_root
from policyd.attestation.keys import DigestName, is_signed_by
from policyd.errors import IdentityNotTrusted, SignatureInvalid, VerificationFailed
from policyd.models.base import Sha256
from policyd.models.trust import Instance, Role, TrustedIdentity

_DIGESTS: Final[tuple[DigestName, ...]] = ("sha256", "sha384", "sha512")


@dataclass(frozen=True, slots=True)
class KeylessSigner:
    """Who signed, and when that was: every time that logs and timestamp authorities proved, at least one."""

    listed: TrustedIdentity
    times: tuple[datetime, ...]
    key_sha256: Sha256


def verify_role_identities(
    bundle: Bundle,
    identities: Sequence[TrustedIdentity],
    instances: Sequence[Instance],
    *,
    allowed: frozenset[str],
    role: Role,
    now: datetime,
    where: str,
) -> tuple[KeylessSigner, ...]:
    """Return the entries of `identities` for which the attestation in `bundle` holds; at least one.

    Several may be for one signer: a name and a pattern, or the same name at two instances. Raises `IdentityNotTrusted`
    for somebody who is not listed, and `VerificationFailed` or `SignatureInvalid` for what does not hold.
    """
    assert isinstance(bundle.content, Envelope)
    # 1. Whom the certificate names. Not believed yet: it only chooses the entries of which one has to hold.
    leaf = read_leaf(bundle.material.certificates[0], where=where)
    listed = [entry for entry in identities if _names(entry, leaf)]
    if not listed:
        raise IdentityNotTrusted(
            f"signed by {leaf.identity} at {leaf.issuer}, who is not listed for the role {role}",
            where=where,
            fix=f"the trust policy lists who may sign in roles.{role}.identities",
        )

    # 2. A kind of key that counts.
    if leaf.key.kind not in allowed:
        raise IdentityNotTrusted(
            f"the certificate's key is {leaf.key.describe()}, and {role} may sign with {', '.join(sorted(allowed))}",
            where=where,
            fix="have it signed with a key of an allowed kind",
        )

    # 3. The signature, over the bytes that are parsed afterwards.
    message = bundle.content.signed_bytes()
    if not is_signed_by(leaf.key, signature_of(bundle), message, or_prehashed=True):
        raise SignatureInvalid(
            "the signature is not by the certificate's key",
            where=where,
            fix="the evidence was changed: get the bundle again from its signer",
        )

    # 4. Log, time, certificate chain and identity, by the instance that each entry names.
    roots = {instance.name: instance.trusted_root for instance in instances}
    signed = {name: hashlib.new(name, message).digest() for name in _DIGESTS}
    held: list[KeylessSigner] = []
    refusals: list[VerificationFailed] = []
    for entry in listed:
        root = read_pinned_root(roots[entry.instance])
        found = Findings()
        try:
            verify_by_instance(bundle, root, leaf, _asked(entry), signed, found, now=now, where=where)
        except VerificationFailed as refusal:
            refusal.check = found.number
            refusals.append(refusal)
            continue
        held.append(KeylessSigner(entry, tuple(moment for moment, _ in found.times), leaf.key.sha256))
    if not held:
        raise refusals[0]
    return tuple(held)


@lru_cache(maxsize=16)
def read_pinned_root(text: str) -> TrustedRoot:
    """Return the trusted root that stands in a trust policy; `DocumentError` if it is none. Read once a process."""
    return read_trusted_root(text.encode(), where="trust policy, instances")


def _names(entry: TrustedIdentity, leaf: Leaf) -> bool:
    try:
        require_identity(leaf, _asked(entry), where="trust policy")
    except IdentityNotTrusted:
        return False
    return True


def _asked(entry: TrustedIdentity) -> AskedIdentity:
    return AskedIdentity(issuer=entry.issuer, exact=entry.identity, pattern=entry.pattern)
