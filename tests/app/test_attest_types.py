"""Every type of attestation that a person can make, verified by the real cosign; and what `policyd attest` refuses."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from policyd.adapters.signers.keyfile import generate_key
from policyd.adapters.signers.loading import read_any_key
from policyd.app.signing import attest_file
from policyd.attestation.predicate_types import SHORT_NAMES, require_predicate_type
from policyd.errors import DocumentError, PolicydError, UsageError
from policyd.models.statement import VSA_V1
from policyd.models.trust import Role
from tests.attestation.test_predicates import EXAMPLES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a key and a file."""
    made = generate_key(tmp_path / "k.key")
    (tmp_path / "k.pub").write_text(made.public_key_pem)
    (tmp_path / "file").write_bytes(b"hello\n")
    return tmp_path


def attest(folder: Path, type_: str, content: bytes) -> Path:
    (folder / "predicate.json").write_bytes(content)
    bundle = folder / "bundle.json"
    attest_file(
        folder / "file",
        predicate_type=type_,
        predicate=folder / "predicate.json",
        key=folder / "k.key",
        bundle=bundle,
        password=str,
        taken={read_any_key(folder / "k.pub", password=str).sha256: Role.APPROVER} if type_ == "approval" else {},
    )
    return bundle


@pytest.mark.parametrize("name", [*SHORT_NAMES, VSA_V1])
def test_cosign_verifies_every_type_that_is_made(name: str, folder: Path, cosign: Path) -> None:
    uri = require_predicate_type(name)
    attest(folder, name, json.dumps(EXAMPLES[uri]).encode())
    # cosign's `link` is in-toto's first version, and its `spdx` goes by another case of the URI.
    asked = name if name in ("slsaprovenance1", "cyclonedx", "vuln") else uri

    done = subprocess.run(
        [
            *(str(cosign), "verify-blob-attestation", "--key", "k.pub", "--bundle", "bundle.json"),
            *("--type", asked, "--insecure-ignore-tlog", "file"),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={"HOME": str(folder), "PATH": os.defpath},
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("type_", "content", "says"),
    [
        ("provenance", b"{}", "this is no predicate type"),
        ("slsaprovenance1", b"{", "not JSON"),
        ("slsaprovenance1", b'{"a": 1, "a": 2}', "twice"),
        ("slsaprovenance1", b'{"buildDefinition": {}}', "/buildDefinition/buildType: "),
        ("cyclonedx", json.dumps(EXAMPLES[SHORT_NAMES["spdx"]]).encode(), "/bomFormat: "),
        ("spdx", json.dumps(EXAMPLES[SHORT_NAMES["cyclonedx"]]).encode(), "/spdxVersion: "),
        ("vuln", b'{"scanner": null, "metadata": {}}', "/scanner: "),
        ("https://example.com/review/v1", b"[]", "not a JSON object"),
    ],
    ids=lambda value: value.decode() if isinstance(value, bytes) and len(value) < 30 else None,
)
def test_what_does_not_fit_its_type_is_not_signed(type_: str, content: bytes, says: str, folder: Path) -> None:
    with pytest.raises(PolicydError) as refused:
        attest(folder, type_, content)

    assert isinstance(refused.value, DocumentError | UsageError)
    assert refused.value.exit_code == 2
    assert says in refused.value.cause
    assert not (folder / "bundle.json").exists()


def test_a_schema_is_never_fetched(folder: Path) -> None:
    """A predicate that names its own schema is told nothing by it."""
    document = {"$schema": "http://127.0.0.1:1/bom.json", "$ref": "file:///etc/passwd"}

    attest(folder, "cyclonedx", json.dumps({**document, **EXAMPLES[SHORT_NAMES["cyclonedx"]]}).encode())
