"""sigstore-conformance's client protocol, called as its suite calls it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.attestation.keyless.instance import CONTENT, IDENTITY, ISSUER, Instance, private_key, public_pem, statement
from tests.attestation.keyless.test_vectors import FOLDER

TOOL = Path(__file__).parent.parent.parent / "tools" / "conformance.py"
INSTANCE = Instance()


def _call(folder: Path, *arguments: object) -> int:
    done = subprocess.run(
        [sys.executable, TOOL, *map(str, arguments)], cwd=folder, capture_output=True, timeout=60, check=False
    )
    assert b"Traceback" not in done.stderr
    return done.returncode


@pytest.mark.parametrize("attests", [False, True], ids=["file", "attestation"])
def test_verify_bundle_with_an_identity(tmp_path: Path, attests: bool) -> None:
    (tmp_path / "a.txt").write_bytes(CONTENT)
    (tmp_path / "b.txt").write_bytes(b"another")
    (tmp_path / "root.json").write_text(json.dumps(INSTANCE.trusted_root()))
    (tmp_path / "bundle.json").write_text(json.dumps(INSTANCE.bundle(payload=statement() if attests else None)))
    signer = ["--certificate-identity", IDENTITY, "--certificate-oidc-issuer", ISSUER]
    call = ["verify-bundle", "--bundle", "bundle.json", *signer, "--trusted-root", "root.json"]

    assert _call(tmp_path, *call, "a.txt") == 0
    assert _call(tmp_path, *call, "b.txt") == 1
    assert _call(tmp_path, *call[:-2], "a.txt") == 1


def test_verify_bundle_with_a_key(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(CONTENT)
    (tmp_path / "root.json").write_text(json.dumps(INSTANCE.trusted_root()))
    (tmp_path / "key.pub").write_text(public_pem(private_key("p256", "managed")))
    (tmp_path / "bundle.json").write_text(json.dumps(INSTANCE.bundle(managed="managed")))
    (tmp_path / "keyless.json").write_text(json.dumps(INSTANCE.bundle()))
    key = ["--key", "key.pub", "--trusted-root", "root.json"]

    assert _call(tmp_path, "verify-bundle", "--bundle", "bundle.json", *key, "a.txt") == 0
    assert _call(tmp_path, "verify-bundle", "--bundle", "keyless.json", *key, "a.txt") == 1


def test_verify_bundle_of_the_public_instances_by_digest(tmp_path: Path) -> None:
    for name, options in (("pypi-publish", []), ("rekor-v2", ["--staging"])):
        case = json.loads((FOLDER / name / "case.json").read_text())
        shutil.copy(FOLDER / name / "bundle.sigstore.json", tmp_path / "bundle.json")
        signer = ["--certificate-identity", case["identity"], "--certificate-oidc-issuer", case["issuer"]]

        assert _call(tmp_path, "verify-bundle", *options, "--bundle", "bundle.json", *signer, case["artifact"]) == 0


def test_sign_bundle_says_that_it_can_not(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(CONTENT)

    assert _call(tmp_path, "sign-bundle", "--identity-token", "x", "--bundle", "b.json", "a.txt") == 2
    assert not (tmp_path / "b.json").exists()
