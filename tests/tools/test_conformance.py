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
from tests.sigstore import EMAIL
from tests.sigstore_stub import ISSUER as STUB_ISSUER
from tests.sigstore_stub import Stub, open_stub

TOOL = Path(__file__).parent.parent.parent / "tools" / "conformance.py"
INSTANCE = Instance()


def _run(folder: Path, *arguments: object) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run(
        [sys.executable, TOOL, *map(str, arguments)], cwd=folder, capture_output=True, timeout=60, check=False
    )
    assert b"Traceback" not in done.stderr
    return done


def _call(folder: Path, *arguments: object) -> int:
    return _run(folder, *arguments).returncode


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


@pytest.mark.parametrize("attests", [False, True], ids=["file", "attestation"])
def test_sign_bundle_with_an_instance_of_its_own(tmp_path: Path, attests: bool) -> None:
    (tmp_path / "a.txt").write_bytes(CONTENT)
    (tmp_path / "statement.json").write_bytes(statement())
    with open_stub(Stub()) as stub:
        config = stub.trust_config()
        (tmp_path / "root.json").write_text(json.dumps(config["trustedRoot"]))
        (tmp_path / "signing.json").write_text(json.dumps(config["signingConfig"]))
        options = ["--trusted-root", "root.json", "--signing-config", "signing.json"]
        token = ["--identity-token", stub.token(), "--bundle", "bundle.json"]
        what = ["--in-toto", *token, *options, "statement.json"] if attests else [*token, *options, "a.txt"]

        assert _call(tmp_path, "sign-bundle", *what) == 0

    signer = ["--certificate-identity", EMAIL, "--certificate-oidc-issuer", STUB_ISSUER]
    assert _call(tmp_path, "verify-bundle", "--bundle", "bundle.json", *signer, *options[:2], "a.txt") == 0


def test_sign_bundle_reads_what_the_installed_sigstore_carries(tmp_path: Path) -> None:
    """A token that can't be used is refused after the instance's files were read, and before anybody is asked."""
    (tmp_path / "a.txt").write_bytes(CONTENT)

    for options in ([], ["--staging"]):
        done = _run(tmp_path, "sign-bundle", *options, "--identity-token", "x", "--bundle", "b.json", "a.txt")
        assert done.returncode == 2
        assert b"identity token" in done.stderr
