"""How the tests of keyless verification ask for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime

from policyd.attestation.bundle import read_bundle
from policyd.attestation.direct import ArtifactFile, Asked, IdentityTrust, KeyTrust, verify_direct
from policyd.attestation.findings import DirectVerification, State
from policyd.attestation.keyless.identity import AskedIdentity
from policyd.attestation.keyless.trusted_root import TrustedRoot, read_trusted_root
from policyd.attestation.keys import read_public_key
from policyd.attestation.material import BundleVersion
from tests.attestation.keyless.instance import CONTENT, IDENTITY, ISSUER, NOW, Instance, Value


def file(content: bytes = CONTENT, name: str = "release.tar.gz") -> ArtifactFile:
    digests = {known: hashlib.new(known, content).digest() for known in ("sha256", "sha384", "sha512")}
    return ArtifactFile(name, digests, content, begins_as_envelope=content.startswith(b"DSSEv1 "))  # type: ignore[arg-type]  # the names are from the list


def trusted_root(value: Value) -> TrustedRoot:
    return read_trusted_root(json.dumps(value).encode(), where="trusted_root.json")


def identity_trust(root: Value, identity: str = IDENTITY, issuer: str = ISSUER) -> IdentityTrust:
    return IdentityTrust(AskedIdentity(issuer=issuer, exact=identity), trusted_root(root))


def key_trust(pem: str, root: Value | None = None) -> KeyTrust:
    return KeyTrust(read_public_key(pem, where="key.pub"), None if root is None else trusted_root(root))


def verify(
    bundle: Value,
    trust: IdentityTrust | KeyTrust,
    *,
    predicate_type: str | None = None,
    files: Sequence[ArtifactFile] | None = None,
    oldest: BundleVersion = BundleVersion.V0_1,
    now: datetime = NOW,
) -> DirectVerification:
    """Verify as the command does: an attestation of any type, unless one is asked for."""
    asked = predicate_type if predicate_type is not None else ("" if "dsseEnvelope" in bundle else None)
    return verify_direct(
        read_bundle(json.dumps(bundle).encode(), where="bundle.json", oldest=oldest),
        Asked(trust, asked, oldest),
        files or [file()],
        now=now,
        where="bundle.json",
    )


def failed(found: DirectVerification) -> int:
    """Return the number of the check that failed; 0 where none did."""
    if found.verified:
        return 0
    assert found.error is not None
    assert found.error.cause
    assert found.error.fix
    *held, last = found.checks
    assert last.state is State.FAILED
    assert all(check.passed for check in held)
    # What did not hold says nothing.
    assert found.signer is None
    assert not found.times
    assert not found.files
    assert found.predicate_type is None
    return last.number


def instance_root(instance: Instance, **changes: object) -> Value:
    return instance.trusted_root() | changes
