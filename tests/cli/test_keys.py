"""`policyd keygen`, `sign` and `attest`: building blocks for keys that hold no role."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from tests.cli.workshop import Workshop

pytestmark = pytest.mark.xdist_group("cli-keys")

PREDICATE = {
    "buildDefinition": {"buildType": "https://example.com/make", "externalParameters": {}},
    "runDetails": {"builder": {"id": "https://example.com/builder"}},
}


@pytest.fixture
def desk(shop: Workshop, tmp_path: Path) -> Path:
    """A folder with a key of nobody's role, a file and a predicate."""
    (tmp_path / "file").write_bytes(b"hello\n")
    (tmp_path / "predicate.json").write_text(json.dumps(PREDICATE))
    shop.call("keygen", "--out", tmp_path / "own").require(0)
    return tmp_path


def sign(desk: Path, **changes: object) -> list[object]:
    options = {"key": "own.key", "bundle": "b.json", **changes}
    return ["sign", "file", *(part for name, value in options.items() for part in (f"--{name}", value))]


def attest(desk: Path, **changes: object) -> list[object]:
    options = {"key": "own.key", "bundle": "b.json", "predicate": "predicate.json", "predicate-type": "slsaprovenance1"}
    options |= {name.replace("_", "-"): str(value) for name, value in changes.items()}
    return ["attest", "file", *(part for name, value in options.items() for part in (f"--{name}", value))]


def test_a_key_pair_is_made_once(shop: Workshop, desk: Path) -> None:
    assert stat.S_IMODE((desk / "own.key").stat().st_mode) == 0o600
    before = (desk / "own.key").read_bytes()

    shop.call("keygen", "--out", "own", cwd=desk).require_one_error(2, "never overwrites", "own.key")

    assert (desk / "own.key").read_bytes() == before


@pytest.mark.parametrize("name", [".", "/", "..", "/proc/x", "no/such/folder/k"])
def test_a_name_that_names_no_file_is_said(shop: Workshop, desk: Path, name: str) -> None:
    shop.call("keygen", "--out", name, cwd=desk).require_one_error(2)


def test_what_is_signed_and_attested_names_file_key_and_bundle(shop: Workshop, desk: Path) -> None:
    signed = shop.call(*sign(desk), cwd=desk).require(0)
    attested = shop.call(*attest(desk, bundle="a.json"), cwd=desk).require(0)

    digest = "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
    for said in (signed, attested):
        assert f"file {digest}" in said.out
        assert said.err == ""
    assert "dsseEnvelope" in json.loads((desk / "a.json").read_bytes())
    assert "messageSignature" in json.loads((desk / "b.json").read_bytes())


@pytest.mark.parametrize("role", ["decider", "builder", "verifier", "log", "approver", "policy-author"])
def test_a_key_with_a_role_signs_nothing_by_hand(shop: Workshop, desk: Path, role: str) -> None:
    """docs/threats.md, T36."""
    key = shop.places.config / "keys" / f"{role}.key"

    for command in (sign(desk, key=key), attest(desk, key=key)):
        shop.call(*command, cwd=desk).require_one_error(2, f"this key has the role {role}", str(key))
    assert not (desk / "b.json").exists()


def test_a_file_that_is_an_attestations_encoding_is_not_signed(shop: Workshop, desk: Path) -> None:
    """docs/threats.md, T37."""
    (desk / "file").write_bytes(b"DSSEv1 28 application/vnd.in-toto+json 2 {}")

    shop.call(*sign(desk), cwd=desk).require_one_error(2, "attestation", "file")
    assert not (desk / "b.json").exists()


@pytest.mark.parametrize("kind", ["decision", "manifest"])
def test_what_only_a_run_says_is_not_attested_by_hand(shop: Workshop, desk: Path, kind: str) -> None:
    command = attest(desk, predicate_type=f"https://policyd.dev/attestation/{kind}/v1")

    shop.call(*command, cwd=desk).require_one_error(2, "only a policyd run")


def test_wrong_requests_are_said(shop: Workshop, desk: Path) -> None:
    for changes, expected in (
        ({"key": "nope.key"}, "no such key"),
        ({"key": "file"}, "open to others"),
        ({"bundle": "file"}, "already"),
        ({"bundle": "no/b.json"}, "no/b.json"),
    ):
        for command in (sign(desk, **changes), attest(desk, **changes)):
            shop.call(*command, cwd=desk).require_one_error(2, expected)
    shop.call(*attest(desk, predicate_type="tested"), cwd=desk).require_one_error(2, "no predicate type")
    shop.call(*attest(desk, predicate="file"), cwd=desk).require_one_error(2, "not JSON", "file")
    shop.call(*attest(desk, predicate="nope"), cwd=desk).require_one_error(2, "nope")
    shop.call("sign", "nope", "--key", "own.key", "--bundle", "b", cwd=desk).require_one_error(2, "nope")
    assert (desk / "file").read_bytes() == b"hello\n"


def test_a_passphrase_protects_a_key(shop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    shop.call("keygen", "--out", "k", cwd=tmp_path, env={"POLICYD_KEY_PASSWORD": "correct"}).require(0)
    command = ["sign", "file", "--key", "k.key", "--bundle", "b.json"]

    assert "ENCRYPTED" in (tmp_path / "k.key").read_text()
    shop.call(*command, cwd=tmp_path, env={"POLICYD_KEY_PASSWORD": "wrong"}).require_one_error(2, "passphrase is wrong")
    shop.call(*command, cwd=tmp_path, env={"POLICYD_KEY_PASSWORD": ""}).require_one_error(2, "no passphrase", "k.key")
    shop.call(*command, cwd=tmp_path, env={"POLICYD_KEY_PASSWORD": "correct"}).require(0)
