"""keygen, sign and attest, as a user calls them, verified by ourselves and by the real cosign."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import pytest
from click.testing import CliRunner

from policyd.adapters.hashed_file import read_hashed
from policyd.adapters.signers.keyfile import Algorithm, generate_key, load_key
from policyd.app.keys import find_role_keys, load_free_key, make_key_pair
from policyd.app.signing import Stamping, attest_file, find_stamping, sign_file
from policyd.attestation.blobs import read_blob_signature, verify_blob
from policyd.attestation.bundle import read_bundle, signature_of
from policyd.attestation.dsse import pae
from policyd.attestation.keys import read_public_key
from policyd.attestation.timestamps import verify_timestamp
from policyd.attestation.trust import verify_with_key
from policyd.cli.attest import attest_command
from policyd.cli.keygen import keygen_command
from policyd.cli.sign import sign_command
from policyd.errors import (
    DocumentError,
    InputTooLarge,
    KeyUnusable,
    PolicydError,
    SettingsError,
    SignatureInvalid,
    SubjectMismatch,
    TimestampError,
    UsageError,
)
from policyd.models.canonical import sha256_hex
from policyd.models.statement import DECISION_V1, MANIFEST_V1, PROVENANCE_V1
from policyd.models.trust import Role
from tests.timestamping import make_authority, serving

PREDICATE = {
    "buildDefinition": {"buildType": "https://example.com/make/v1", "externalParameters": {}},
    "runDetails": {"builder": {"id": "https://example.com/builder"}},
}


@dataclass
class Desk:
    """A folder with a key, a file and a predicate."""

    folder: Path
    file: Path
    key: Path
    public_key: str
    key_sha256: str
    predicate: Path
    bundle: Path

    def sign(self, **changes: object) -> None:
        arguments = {"key": self.key, "bundle": self.bundle, "password": str, "taken": {}, **changes}
        sign_file(self.file, **arguments)  # type: ignore[arg-type]

    def attest(self, **changes: object) -> None:
        arguments = {
            "predicate_type": "slsaprovenance1",
            "predicate": self.predicate,
            "key": self.key,
            "bundle": self.bundle,
            "password": str,
            "taken": {},
            **changes,
        }
        attest_file(self.file, **arguments)  # type: ignore[arg-type]


def _verify(bundle: Path, public_key: str, file: Path) -> None:
    blob = read_blob_signature(bundle.read_bytes(), public_key, where=str(bundle))
    verify_blob(blob, read_hashed(file, blob.digests, keep_content=blob.needs_content), where=str(bundle))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = generate_key(tmp_path / "k.key")
    file, predicate = tmp_path / "file", tmp_path / "predicate.json"
    file.write_bytes(b"hello\n")
    predicate.write_text(json.dumps(PREDICATE))
    return Desk(
        tmp_path, file, made.private_key, made.public_key_pem, made.key_sha256, predicate, tmp_path / "bundle.json"
    )


def test_a_signed_file_verifies(desk: Desk) -> None:
    desk.sign()

    _verify(desk.bundle, desk.public_key, desk.file)


def test_an_attested_file_verifies(desk: Desk) -> None:
    desk.attest()

    verified = verify_with_key(desk.bundle.read_bytes(), desk.public_key, where="bundle.json")
    assert verified.statement.predicate == PREDICATE
    assert verified.statement.predicate_type == PROVENANCE_V1
    assert [subject.name for subject in verified.statement.subject] == ["file"]
    assert verified.subject_sha256s() == {sha256_hex(b"hello\n")}


def _cosign(cosign: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(cosign), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={"HOME": str(folder), "PATH": os.defpath, "COSIGN_PASSWORD": "of cosign"},
    )


#: cosign 3.1.3 verifies every key's signatures with SHA-256, its own with P-384 and P-521 keys too.
@pytest.mark.parametrize("algorithm", ["ecdsa-p256", "ed25519", "rsa-3072"])
def test_cosign_accepts_what_is_signed_and_attested(desk: Desk, cosign: Path, algorithm: Algorithm) -> None:
    made = make_key_pair(desk.folder / "k2", algorithm=algorithm, password=str)
    desk.sign(key=made.private_key, bundle=desk.folder / "s.json")
    desk.attest(key=made.private_key, bundle=desk.folder / "a.json")

    def ask(*arguments: str) -> subprocess.CompletedProcess[str]:
        return _cosign(cosign, desk.folder, *arguments, "--key", "k2.pub", "--insecure-ignore-tlog", "file")

    attested = ("verify-blob-attestation", "--bundle", "a.json", "--type", "slsaprovenance1")
    signed = ("verify-blob", "--bundle", "s.json")
    for command in (attested, signed):
        accepted = ask(*command)
        assert accepted.returncode == 0, accepted.stderr
    desk.file.write_bytes(b"changed\n")
    for command in (attested, signed):
        assert ask(*command).returncode != 0


@pytest.mark.parametrize("algorithm", get_args(Algorithm))
def test_what_cosign_signs_and_attests_verifies(desk: Desk, cosign: Path, algorithm: Algorithm) -> None:
    """Also with the keys whose bundles cosign itself refuses, and with the key file that it encrypted."""
    made = make_key_pair(desk.folder / "k2", algorithm=algorithm, password=str)
    common = ("--key", "c.key", "--tlog-upload=false", "--use-signing-config=false", "--yes")
    kind = ("--type", "slsaprovenance1", "--predicate", desk.predicate.name)
    for command in (
        ("import-key-pair", "--key", "k2.key", "--output-key-prefix", "c"),
        ("sign-blob", *common, "--bundle", "s.json", "file"),
        ("attest-blob", *common, "--bundle", "a.json", *kind, "file"),
    ):
        done = _cosign(cosign, desk.folder, *command)
        assert done.returncode == 0, done.stderr

    _verify(desk.folder / "s.json", made.public_key_pem, desk.file)
    verified = verify_with_key((desk.folder / "a.json").read_bytes(), made.public_key_pem, where="a.json")
    assert verified.subject_sha256s() == {sha256_hex(b"hello\n")}
    assert load_key(desk.folder / "c.key", password="of cosign").key_sha256 == made.key_sha256
    with pytest.raises(KeyUnusable, match="passphrase"):
        load_key(desk.folder / "c.key", password="another")

    desk.file.write_bytes(b"changed\n")
    with pytest.raises((SubjectMismatch, SignatureInvalid)):
        _verify(desk.folder / "s.json", made.public_key_pem, desk.file)


@pytest.mark.parametrize("algorithm", get_args(Algorithm))
def test_a_file_is_signed_and_attested_with_every_kind_of_key(desk: Desk, algorithm: Algorithm) -> None:
    made = make_key_pair(desk.folder / "k2", algorithm=algorithm, password=str)
    digest = read_public_key(made.public_key_pem, where="x").kind.digest or "sha256"
    desk.sign(key=made.private_key)
    desk.attest(key=made.private_key, bundle=desk.folder / "a.json")

    _verify(desk.bundle, made.public_key_pem, desk.file)
    assert verify_with_key((desk.folder / "a.json").read_bytes(), made.public_key_pem, where="a.json")
    message = json.loads(desk.bundle.read_bytes())["messageSignature"]["messageDigest"]
    assert message["algorithm"] == f"SHA2_{digest.removeprefix('sha')}"
    desk.file.write_bytes(b"changed\n")
    with pytest.raises(SubjectMismatch):
        _verify(desk.bundle, made.public_key_pem, desk.file)


@pytest.mark.parametrize("algorithm", ["ecdsa-p256", "ecdsa-p384", "rsa-3072"])
def test_only_an_ed25519_bundle_may_leave_out_which_file_it_is_for(desk: Desk, algorithm: Algorithm) -> None:
    made = make_key_pair(desk.folder / "k2", algorithm=algorithm, password=str)
    desk.sign(key=made.private_key)
    value = json.loads(desk.bundle.read_bytes())
    value["messageSignature"]["messageDigest"] = {}
    desk.bundle.write_text(json.dumps(value))

    with pytest.raises(DocumentError, match="no digest"):
        _verify(desk.bundle, made.public_key_pem, desk.file)


def test_the_digest_in_a_bundle_is_not_what_is_verified(desk: Desk) -> None:
    """A bundle whose digest was exchanged for that of another file is not one of that file."""
    desk.sign()
    desk.file.write_bytes(b"other\n")
    value = json.loads(desk.bundle.read_bytes())
    digest = base64.b64encode(bytes.fromhex(sha256_hex(b"other\n"))).decode()
    value["messageSignature"]["messageDigest"]["digest"] = digest
    desk.bundle.write_text(json.dumps(value))

    with pytest.raises(SignatureInvalid):
        _verify(desk.bundle, desk.public_key, desk.file)


def test_content_that_is_an_attestations_encoding_is_not_signed(desk: Desk) -> None:
    """A signature over these bytes would be a valid envelope of any statement (docs/threats.md, T37)."""
    desk.file.write_bytes(pae("application/vnd.in-toto+json", b'{"_type": "https://in-toto.io/Statement/v1"}'))

    with pytest.raises(UsageError, match="attestation"):
        desk.sign()

    assert not desk.bundle.exists()


def test_the_encoding_is_recognised_through_a_pipe_that_trickles(desk: Desk) -> None:
    pipe = desk.folder / "pipe"
    os.mkfifo(pipe)
    script = "import sys, time\nwith open(sys.argv[1], 'wb', buffering=0) as p:\n"
    script += "    for b in b'DSSEv1 1 a 1 b': p.write(bytes([b])); time.sleep(0.005)\n"
    with subprocess.Popen([sys.executable, "-c", script, str(pipe)]) as writer:
        desk.file = pipe
        with pytest.raises(UsageError, match="attestation"):
            desk.sign()
        writer.wait(timeout=30)


@pytest.mark.parametrize("content", [b"", b"DSSEv1", b"DSSEv2 ", b" DSSEv1 ", b"dssev1 1"])
def test_other_content_is_signed(desk: Desk, content: bytes) -> None:
    desk.file.write_bytes(content)

    desk.sign()

    _verify(desk.bundle, desk.public_key, desk.file)


@pytest.mark.parametrize("role", list(Role))
def test_a_key_with_a_role_signs_and_attests_nothing(desk: Desk, role: Role) -> None:
    taken = {desk.key_sha256: role}

    with pytest.raises(KeyUnusable, match=role.value):
        desk.sign(taken=taken)
    with pytest.raises(KeyUnusable, match=role.value):
        desk.attest(taken=taken)
    with pytest.raises(KeyUnusable):
        load_free_key(desk.key, password=str, taken=taken)

    assert not desk.bundle.exists()


@pytest.mark.parametrize("predicate_type", [DECISION_V1, MANIFEST_V1])
def test_the_statements_of_a_run_are_not_made_by_hand(desk: Desk, predicate_type: str) -> None:
    with pytest.raises(UsageError, match="only a policyd run"):
        desk.attest(predicate_type=predicate_type)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"null", b'{"a": 1, "a": 2}', b'{"a": NaN}', b'{"a": 9007199254740993}', b"\xff"]
)
def test_a_predicate_is_one_strict_json_object(desk: Desk, content: bytes) -> None:
    desk.predicate.write_bytes(content)

    with pytest.raises(DocumentError):
        desk.attest()

    assert not desk.bundle.exists()


def test_a_bundle_is_never_written_over_something(desk: Desk) -> None:
    for taken in (desk.file, desk.key, desk.predicate):
        before = taken.read_bytes()
        with pytest.raises(UsageError, match="already"):
            desk.sign(bundle=taken)
        with pytest.raises(UsageError, match="already"):
            desk.attest(bundle=taken)
        assert taken.read_bytes() == before


def test_what_is_not_there_or_no_file_is_a_wrong_request(desk: Desk) -> None:
    for change in ({"key": desk.folder / "no.key"}, {"bundle": desk.folder / "no" / "bundle"}):
        with pytest.raises(PolicydError) as caught:
            desk.sign(**change)
        assert caught.value.exit_code == 2
    for file in (desk.folder / "nothing", desk.folder):
        desk.file = file
        with pytest.raises(UsageError):
            desk.sign()
        with pytest.raises(UsageError):
            desk.attest()


def test_a_large_file_is_signed_in_constant_memory(desk: Desk) -> None:
    with desk.file.open("wb") as file:
        file.truncate(300 * 1024 * 1024)
    script = (
        "import resource, sys\nfrom pathlib import Path\nfrom policyd.app.signing import sign_file\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (150 * 1024 * 1024,) * 2)\n"
        "f, k, b = map(Path, sys.argv[1:])\nsign_file(f, key=k, bundle=b, password=str, taken={})\n"
    )

    subprocess.run(
        [sys.executable, "-c", script, str(desk.file), str(desk.key), str(desk.bundle)], check=True, timeout=60
    )

    assert desk.bundle.stat().st_size < 1000


def test_an_ed25519_key_refuses_a_file_that_does_not_fit(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policyd.adapters.hashed_file.MAX_KEPT_BYTES", 5)
    made = generate_key(desk.folder / "e.key", algorithm="ed25519")

    with pytest.raises(InputTooLarge):
        desk.sign(key=made.private_key)


def test_a_file_that_is_written_to_while_it_is_read_is_not_signed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    class Meanwhile:
        """A hash of SHA-256 during which somebody else appends to the file, once."""

        def __init__(self, name: str) -> None:
            self.hash = hashlib.new(name)

        def update(self, content: bytes) -> None:
            self.hash.update(content)
            if desk.file.stat().st_size < 1000:
                desk.file.write_bytes(bytes(1000))

        def digest(self) -> bytes:
            return self.hash.digest()

    monkeypatch.setattr("policyd.adapters.hashed_file.hashlib", SimpleNamespace(new=Meanwhile))

    with pytest.raises(UsageError, match="changed while it was read"):
        desk.sign()
    assert not desk.bundle.exists()


# --- timestamps ---


def test_what_is_signed_and_attested_may_have_a_timestamp(desk: Desk, cosign: Path) -> None:
    with serving(make_authority(desk.folder / "tsa")) as authority:
        (desk.folder / "chain.pem").write_text(authority.chain)
        stamping = find_stamping(authority.url, desk.folder / "chain.pem", None)
        desk.sign(stamping=stamping)
        desk.attest(stamping=stamping, bundle=desk.folder / "a.json")

    for name in ("bundle.json", "a.json"):
        bundle = read_bundle((desk.folder / name).read_bytes(), where=name)
        assert verify_timestamp(bundle.timestamps[0], signature_of(bundle), [authority.trusted()])
    _verify(desk.bundle, desk.public_key, desk.file)
    seen = _cosign(
        cosign,
        desk.folder,
        *("verify-blob", "--key", "k.pub", "--bundle", "bundle.json", "--insecure-ignore-tlog", "file"),
    )
    assert seen.returncode == 0, seen.stderr


def test_no_bundle_is_written_without_the_timestamp_that_was_asked_for(desk: Desk) -> None:
    other = make_authority(desk.folder / "other")
    with serving(make_authority(desk.folder / "tsa")) as authority:
        url = authority.url
        with pytest.raises(TimestampError):
            desk.sign(stamping=Stamping(url, (other.trusted(),)))
        with pytest.raises(TimestampError, match="pins no"):
            desk.sign(stamping=Stamping(url, ()))
    with pytest.raises(TimestampError, match="reached"):
        desk.sign(stamping=Stamping(url, (authority.trusted(),)))

    assert not desk.bundle.exists()


def test_a_chain_without_an_authority_to_ask_is_a_wrong_request(desk: Desk) -> None:
    with pytest.raises(UsageError):
        find_stamping(None, desk.file, None)


def test_broken_settings_are_no_reason_to_use_a_key_with_a_role(tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text("policyd: settings/v1\n")

    with pytest.raises(SettingsError):
        find_role_keys(settings)


# --- the commands ---


def _call(command: object, *arguments: str, password: str = "") -> str:
    done = CliRunner().invoke(
        command,  # type: ignore[arg-type]
        list(arguments),
        env={"POLICYD_KEY_PASSWORD": password, "XDG_CONFIG_HOME": "/nonexistent", "HOME": "/nonexistent"},
        standalone_mode=False,
        catch_exceptions=False,
    )
    if done.exception is not None:
        raise done.exception
    assert done.return_value == 0
    return done.stdout


def test_the_commands_make_a_key_sign_with_it_and_attest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_bytes(b"hello\n")
    Path("predicate.json").write_text(json.dumps(PREDICATE))

    made = _call(keygen_command, "--out", "k", password="x")
    signed = _call(sign_command, "file", "--key", "k.key", "--bundle", "s.json", password="x")
    attested = _call(
        attest_command,
        *("file", "--predicate-type", "slsaprovenance1", "--predicate", "predicate.json"),
        *("--key", "k.key", "--bundle", "a.json"),
        password="x",
    )

    public_key = Path("k.pub").read_text()
    _verify(Path("s.json"), public_key, Path("file"))
    assert verify_with_key(Path("a.json").read_bytes(), public_key, where="a.json")
    fingerprint = made.splitlines()[-1].split("sha256:")[1]
    assert fingerprint in signed
    assert fingerprint in attested
    assert "ENCRYPTED" in Path("k.key").read_text()


def test_keygen_asks_for_no_passphrase_when_the_name_is_taken(tmp_path: Path) -> None:
    (tmp_path / "k.pub").write_text("precious")

    def ask() -> str:
        raise AssertionError("asked")

    with pytest.raises(UsageError, match="never overwrites"):
        make_key_pair(tmp_path / "k", algorithm="ecdsa-p256", password=ask)


def test_a_name_with_a_dot_keeps_it(tmp_path: Path) -> None:
    made = make_key_pair(tmp_path / "release.v1", algorithm="ecdsa-p256", password=str)

    assert (made.private_key.name, made.public_key.name) == ("release.v1.key", "release.v1.pub")
