"""The private instance's bundles for the real cosign: what it takes and what it refuses, compared."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.attestation.keyless.instance import (
    CONTENT,
    IDENTITY,
    ISSUER,
    SIGNED_AT,
    Instance,
    LeafOptions,
    Value,
    private_key,
    public_pem,
    statement,
)
from tests.attestation.keyless.verifying import failed, identity_trust, key_trust, verify

INSTANCE = Instance()
ROOT = INSTANCE.trusted_root()
TRUST = identity_trust(ROOT)


@dataclass(frozen=True)
class Cosign:
    program: Path
    folder: Path

    def takes(self, bundle: Value, *options: str) -> bool:
        (self.folder / "artifact").write_bytes(CONTENT)
        (self.folder / "root.json").write_text(json.dumps(ROOT))
        (self.folder / "bundle.json").write_text(json.dumps(bundle))
        command = ["verify-blob", "artifact"]
        if "dsseEnvelope" in bundle:
            command = ["verify-blob-attestation", "--type", "slsaprovenance1", "artifact"]
        signer = options or ("--certificate-identity", IDENTITY, "--certificate-oidc-issuer", ISSUER)
        done = subprocess.run(
            [self.program, *command, "--bundle", "bundle.json", "--trusted-root", "root.json", *signer],
            cwd=self.folder,
            env={"HOME": str(self.folder), "PATH": os.defpath},
            capture_output=True,
            timeout=60,
            check=False,
        )
        return done.returncode == 0


@pytest.fixture
def peer(cosign: Path, tmp_path: Path) -> Cosign:
    return Cosign(cosign, tmp_path)


@pytest.mark.parametrize(
    "bundle",
    [
        INSTANCE.bundle(),
        INSTANCE.bundle(stamps=[SIGNED_AT]),
        INSTANCE.bundle(payload=statement()),
        INSTANCE.bundle(payload=statement(), entry=("intoto", "0.0.2"), version="0.2"),
        INSTANCE.bundle(entry=("hashedrekord", "0.0.2")),
        INSTANCE.bundle(payload=statement(), entry=("hashedrekord", "0.0.2")),
        INSTANCE.bundle(leaf=LeafOptions(kind="p384")),
    ],
    ids=["file", "stamped", "attestation", "intoto", "v2 file", "v2 attestation", "p384"],
)
def test_both_take_what_is_good(peer: Cosign, bundle: Value) -> None:
    assert failed(verify(bundle, TRUST)) == 0
    assert peer.takes(bundle)


def test_both_refuse_the_log_entry_of_another_bundle(peer: Cosign) -> None:
    bundle = INSTANCE.bundle()
    other = INSTANCE.bundle(b"another")
    bundle["verificationMaterial"]["tlogEntries"] = other["verificationMaterial"]["tlogEntries"]

    assert failed(verify(bundle, TRUST)) == 6
    assert not peer.takes(bundle)


def test_what_cosign_takes_and_policyd_refuses(peer: Cosign) -> None:
    """Measured with 3.1.3. Where a later cosign refuses these too, this test says so and can be shortened."""
    no_purpose = INSTANCE.bundle(leaf=LeafOptions(purposes=None))
    unknown_type = INSTANCE.bundle(payload=statement(_type="https://example.com/Statement/v7"))

    assert (peer.takes(no_purpose), failed(verify(no_purpose, TRUST))) == (True, 3)
    assert (peer.takes(unknown_type), failed(verify(unknown_type, TRUST))) == (True, 11)


def test_what_cosign_refuses_and_policyd_takes(peer: Cosign, tmp_path: Path) -> None:
    """A key id that it does not know: DSSE calls it a hint."""
    bundle = INSTANCE.bundle(payload=statement(), managed="managed")
    bundle["dsseEnvelope"]["signatures"][0]["keyid"] = "somebody"
    pem = public_pem(private_key("p256", "managed"))
    (tmp_path / "key.pub").write_text(pem)

    assert failed(verify(bundle, key_trust(pem, ROOT))) == 0
    assert not peer.takes(bundle, "--key", "key.pub")
