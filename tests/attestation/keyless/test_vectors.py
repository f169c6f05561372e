"""Real bundles of real instances, as their projects publish them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sigstore.models import Bundle as SigstoreBundle
from sigstore.models import TrustedRoot as SigstoreRoot
from sigstore.verify import Verifier
from sigstore.verify import policy as sigstore_policy

from policyd.adapters.artifacts import read_artifact
from policyd.attestation.bundle import read_bundle
from policyd.attestation.direct import Asked, IdentityTrust, verify_direct
from policyd.attestation.findings import DirectVerification
from policyd.attestation.keyless.identity import AskedIdentity
from policyd.attestation.keyless.trusted_root import read_trusted_root
from policyd.attestation.material import BundleVersion
from tests.attestation.keyless.verifying import failed

FOLDER = Path(__file__).parent.parent.parent / "vectors" / "sigstore"
CASES = sorted(path for path in FOLDER.iterdir() if path.is_dir())
NOW = datetime(2026, 5, 1, tzinfo=UTC)


def _case(folder: Path) -> dict[str, str]:
    value = json.loads((folder / "case.json").read_text())
    assert isinstance(value, dict)
    return value


def _verify(
    folder: Path, *, root: str | None = None, identity: str | None = None, artifact: str | None = None
) -> DirectVerification:
    case = _case(folder)
    content = (folder / "bundle.sigstore.json").read_bytes()
    bundle = read_bundle(content, where=folder.name, oldest=BundleVersion.V0_1)
    trusted = (FOLDER / f"{root or case['trusted_root']}.trusted_root.json").read_bytes()
    trust = IdentityTrust(
        AskedIdentity(issuer=case["issuer"], exact=identity or case["identity"]),
        read_trusted_root(trusted, where="trusted_root.json"),
    )
    asked = Asked(trust, "" if b'"dsseEnvelope"' in content else None)
    files = read_artifact(artifact or case["artifact"], {"sha256"}).files
    return verify_direct(bundle, asked, files, now=NOW, where=folder.name)


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
def test_a_published_bundle_is_verified(folder: Path) -> None:
    assert failed(_verify(folder)) == 0


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
def test_and_for_nobody_and_nothing_else(folder: Path) -> None:
    case = _case(folder)
    algorithm, _, value = case["artifact"].partition(":")

    assert failed(_verify(folder, identity=case["identity"] + "x")) == 10
    assert failed(_verify(folder, artifact=f"{algorithm}:{'0' * len(value)}")) in (4, 12)
    assert failed(_verify(folder, root="staging" if case["trusted_root"] != "staging" else "public-good")) == 5


def test_sigstore_python_agrees_where_it_can() -> None:
    """It refuses log entries of kind intoto and other names than addresses and URIs (measured with 4.5.1)."""
    for name in ("cosign-attestation-dsse", "pypi-publish"):
        case = _case(FOLDER / name)
        verifier = Verifier(
            trusted_root=SigstoreRoot.from_file(str(FOLDER / f"{case['trusted_root']}.trusted_root.json"))
        )
        bundle = SigstoreBundle.from_json((FOLDER / name / "bundle.sigstore.json").read_bytes())

        verifier.verify_dsse(bundle, sigstore_policy.Identity(identity=case["identity"], issuer=case["issuer"]))
