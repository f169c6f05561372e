"""A signed policy bundle, verified: the one place where bytes from anywhere become a policy set that gates may use.

Two signatures cover it. `.signatures.json` inside is what an OPA server checks; the attestation beside it covers the
finished file and carries the threshold of authors. Both have to hold, and both have to speak of the same set.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from policyd.attestation.statements import Named, render_statement
from policyd.attestation.trust import verify_bundle
from policyd.errors import SubjectMismatch, VerificationFailed
from policyd.models.base import Sha256, rfc3339
from policyd.models.canonical import sha256_hex
from policyd.models.policy_bundle import PolicySetPredicate
from policyd.models.statement import POLICY_SET_V1
from policyd.models.trust import Role, TrustPolicy
from policyd.policy.bundle_archive import read_archive
from policyd.policy.bundle_files import BundleContent, read_bundle_files
from policyd.policy.bundle_signatures import verify_signatures


@dataclass(frozen=True, slots=True)
class VerifiedBundle:
    """A policy set that its authors signed and that has not expired. Built by `verify_policy_bundle` alone."""

    content: BundleContent
    predicate: PolicySetPredicate
    signers: frozenset[str]  # persons


def policy_set_statement(predicate: PolicySetPredicate, bundle_sha256: Sha256) -> bytes:
    """Return the statement that authors sign over the finished bundle file."""
    document = predicate.model_dump(mode="json")
    return render_statement([Named(f"{predicate.name}.tar.gz", bundle_sha256)], POLICY_SET_V1, document)


def verify_policy_bundle(
    content: bytes, attestation: bytes, trust: TrustPolicy, *, now: datetime, where: str
) -> VerifiedBundle:
    """Return the policy set in the bundle `content` if its authors signed it and it holds at `now`.

    `attestation` is what stands beside it. Whether a later version was seen is the caller's to ask: that memory is no
    part of the bundle. Raises `VerificationFailed` (or a subclass) for a signature, subject or expiry that does not
    hold, `PolicyError` for an archive that is none.
    """
    # 1. The attestation: signed by enough authors, of the type that names policy sets.
    statement = verify_bundle(attestation, trust, role=Role.POLICY_AUTHOR, now=now, where=f"{where}.sigstore.json")
    if statement.statement.predicate_type != POLICY_SET_V1:
        raise VerificationFailed(
            f"the attestation beside the bundle is of type {statement.statement.predicate_type}",
            where=f"{where}.sigstore.json",
            fix="put the attestation beside it that `policyd policy sign` wrote",
        )
    predicate = statement.read_predicate(PolicySetPredicate, where=f"{where}.sigstore.json")

    # 2. About these bytes and no others. Only now is the archive looked at.
    if statement.subject_sha256s() != {sha256_hex(content)}:
        raise SubjectMismatch(
            "the attestation beside the bundle is for another file",
            where=f"{where}.sigstore.json",
            fix="get bundle and attestation again from their authors: one of them was changed or swapped",
        )

    # 3. The archive, in memory and within bounds.
    files = read_archive(content, where=where)

    # 4. OPA's signature: an author's, over every file.
    verify_signatures(files, trust, now=now, where=where)

    # 5. One set: what the manifest names, what the files make, what the authors said.
    bundle = read_bundle_files(files, where=where)
    identity = bundle.identity
    said = (predicate.name, predicate.version, predicate.expires_at, predicate.policy_set_sha256)
    if said != (identity.name, identity.version, identity.expires_at, bundle.manifest.revision):
        raise SubjectMismatch(
            "the attestation names another policy set, version or expiry than the bundle's manifest",
            where=where,
            fix="bundle the policy set again and sign it",
        )

    # 6. Still in force.
    if now >= predicate.expires_at:
        raise VerificationFailed(
            f"version {predicate.version} of the policy set {predicate.name!r} expired at"
            f" {rfc3339(predicate.expires_at)}",
            where=where,
            fix="get the current version from its authors",
        )
    return VerifiedBundle(bundle, predicate, statement.signers)
