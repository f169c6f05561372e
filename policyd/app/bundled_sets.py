"""Policy sets in bundles: what a gate asks of one before its rules count, and what an author may look at.

A gate takes a bundle only where its authors signed it, it has not expired, and no later version was used here before.
An author may look at one that nobody signed yet; one that is signed has to hold for authors too.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from policyd.adapters.output import read_input
from policyd.adapters.settings import Authority
from policyd.adapters.stores.policy_versions import PolicyVersions
from policyd.errors import PolicydError, PolicyError, SettingsError, SignatureInvalid
from policyd.policy.bundle_archive import MAX_BUNDLE_BYTES, read_archive
from policyd.policy.bundle_files import SIGNATURES, BundleContent, read_bundle_files, read_bundled_set
from policyd.policy.bundle_verify import VerifiedBundle, verify_policy_bundle
from policyd.policy.policy_set import PolicySet

MAX_ATTESTATION_BYTES = 64 * 1024  # a digest, three words and the signatures of its authors


def load_bundled_set(path: Path, authority: Authority | None, *, now: datetime, prefix: str) -> PolicySet:
    """Return the policy set in the signed bundle at `path` for a gate; see `load_policy_set`."""
    # 1. Somebody who says whose signature counts.
    if authority is None:
        raise SettingsError(
            "there are no operator settings: nobody says who may sign policy sets",
            where=str(path),
            fix="run `policyd init` once, or name settings with --settings FILE",
        )
    # 2. Signatures, content and expiry.
    bundle = read_signed_bundle(path, authority, now=now)
    # 3. Rules and data that can be used, below the prefix.
    policy_set = read_bundled_set(bundle.content, where=str(path), prefix=prefix)
    # 4. Never back to an older version. Last, so that only what can be used is remembered.
    settings = authority.settings
    versions = PolicyVersions.create(Path(settings.state), store=Path(settings.store))
    versions.require_forward(bundle.predicate, where=str(path))
    return policy_set


def look_at_bundle(path: Path, authority: Authority | None, *, now: datetime) -> BundleContent:
    """Return what the bundle at `path` holds, for its authors: unsigned, or verified where it is signed.

    Where no operator says whose signature counts, nothing about signatures is looked at, and nothing is promised.
    """
    content = read_bundle_bytes(path)
    files = read_archive(content, where=str(path))
    if authority is not None and (SIGNATURES in files or attestation_path(path).exists()):
        return read_signed_bundle(path, authority, now=now).content
    return read_bundle_files(files, where=str(path))


def read_signed_bundle(path: Path, authority: Authority, *, now: datetime) -> VerifiedBundle:
    """Return the bundle at `path`, verified against the trust policy of `authority` as of `now`."""
    beside = attestation_path(path)
    content = read_bundle_bytes(path)
    if not beside.exists():
        raise SignatureInvalid(
            "the policy bundle is not signed: no attestation lies beside it",
            where=str(beside),
            fix="have one of its authors sign it: policyd policy sign BUNDLE --key KEY",
        )
    attestation = read_input(beside, max_bytes=MAX_ATTESTATION_BYTES)
    return verify_policy_bundle(content, attestation, authority.trust, now=now, where=str(path))


def read_bundle_bytes(path: Path) -> bytes:
    """Return the bytes of the bundle at `path`, at most `MAX_BUNDLE_BYTES`; `PolicyError` beyond that."""
    try:
        return read_input(path, max_bytes=MAX_BUNDLE_BYTES)
    except PolicydError as error:
        raise PolicyError(error.cause, where=error.where, fix=error.fix) from error


def attestation_path(bundle: Path) -> Path:
    """Return where the attestation of a bundle lies: beside it."""
    return bundle.with_name(f"{bundle.name}.sigstore.json")
