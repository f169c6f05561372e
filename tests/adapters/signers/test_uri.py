"""Keys by URI, on a real PKCS#11 token; the services' clients are only known to be missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from policyd.adapters.signers.loading import load_signer
from policyd.adapters.signers.uri import environment_for, is_key_uri, load_uri_key
from policyd.attestation.keys import KeyKind, is_signed_by, read_public_key
from policyd.errors import KeyUnusable, UnsafePermissions
from tests.hsm import PIN, Token, make_token


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory, softhsm: Path) -> Token:
    made = make_token(tmp_path_factory.mktemp("hsm") / "token", softhsm)
    # The library reads its configuration when it is first loaded into a process, and keeps to it.
    os.environ.update(made.environment)
    return made


@pytest.mark.parametrize(("number", "kind"), [(1, KeyKind.P256), (2, KeyKind.P384)], ids=["p256", "p384"])
def test_a_key_on_a_token_signs(token: Token, number: int, kind: KeyKind) -> None:
    signer = load_signer(token.uri(number), password=PIN)

    public = read_public_key(signer.public_key_pem, where="token")
    assert public.kind is kind
    assert signer.key_sha256 == public.sha256
    assert is_signed_by(public, signer.sign(b"message"), b"message")


def test_files_are_signed_by_another_signer_than_statements(token: Token) -> None:
    blob = load_signer(token.uri(1), password=PIN).for_blobs()

    public = read_public_key(load_signer(token.uri(1), password=PIN).public_key_pem, where="token")
    assert blob.needs_content
    assert is_signed_by(public, blob.sign_content(b"content"), b"content")
    with pytest.raises(TypeError):
        blob.sign_digest(bytes(32))


def test_the_pin_is_asked_for_once_and_shows_in_no_repr(token: Token) -> None:
    asked: list[str] = []

    def ask() -> str:
        asked.append("asked")
        return PIN

    signer = load_uri_key(token.uri(1), password=ask)
    signer.sign(b"one")
    signer.sign(b"two")

    assert asked == ["asked"]
    assert PIN not in repr(signer) + repr(vars(signer)) + repr(vars(signer._signer))


def test_a_wrong_pin_a_missing_key_and_another_curve_are_told_in_our_words(token: Token) -> None:
    with pytest.raises(KeyUnusable, match="PinIncorrect"):
        load_uri_key(token.uri(1), password="0000").sign(b"m")
    with pytest.raises(KeyUnusable, match="could not find"):
        load_uri_key(token.uri(9), password=PIN)
    with pytest.raises(KeyUnusable, match="secp521r1"):
        load_uri_key(token.uri(3), password=PIN)
    with pytest.raises(KeyUnusable, match="No PKCS#11 token"):
        load_uri_key(token.uri(1).replace("policyd+test", "another"), password=PIN)


def test_a_signature_by_another_key_is_noticed_before_it_is_used(token: Token) -> None:
    """A service may sign with a newer version of a key, or with whatever it likes."""
    signer, other = (load_uri_key(token.uri(number), password=PIN) for number in (1, 2))
    signer._signer = other._signer

    with pytest.raises(KeyUnusable, match="no signature by the key"):
        signer.sign(b"message")


def test_a_library_that_others_can_change_is_not_loaded(token: Token, tmp_path: Path) -> None:
    (tmp_path / "evil.so").write_bytes(token.module.read_bytes())
    (tmp_path / "evil.so").chmod(0o666)

    with pytest.raises(UnsafePermissions):
        load_uri_key(f"hsm:1?module={tmp_path / 'evil.so'}", password=PIN)


@pytest.mark.parametrize(
    "uri",
    ["hsm:x", "hsm:1?slot=3", "hsm:-1", "hsm:1?module=relative.so", "hsm:1/2", "hsm:1?label=a\nb", "hsm:" + "1" * 3000],
)
@pytest.mark.usefixtures("softhsm")
def test_what_names_no_key_of_a_token_is_refused(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYKCS11LIB", raising=False)
    with pytest.raises(KeyUnusable):
        load_uri_key(uri, password=PIN)


@pytest.mark.parametrize(
    ("uri", "extra"),
    [
        ("awskms:alias/release", "awskms"),
        ("gcpkms:projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1", "gcpkms"),
        ("azurekms://vault.vault.azure.net/keys/release", "azurekms"),
        ("hv:release/1", "vault"),
        ("hashivault:release", "vault"),
        ("hsm:1", "hsm"),
    ],
)
def test_without_its_extra_a_key_is_refused_and_the_extra_named(uri: str, extra: str) -> None:
    """In a process without the clients, whatever this one has."""
    script = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('pkcs11', 'boto3', 'google', 'azure', 'hvac')))\n"
        "import importlib.util\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name: None if sys.modules.get(name.partition('.')[0], 1) is None"
        " else find(name)\n"
        "from policyd.adapters.signers.loading import load_signer\n"
        "from policyd.errors import KeyUnusable\n"
        "try:\n    load_signer(sys.argv[1], password='x')\n"
        "except KeyUnusable as error:\n    print(error.fix)\n"
    )

    said = subprocess.run(
        [sys.executable, "-c", script, uri], capture_output=True, text=True, timeout=60, check=True
    ).stdout

    assert said == f"pip install 'policyd[{extra}]'\n"


@pytest.mark.parametrize("name", ["k.key", "/etc/k.key", "./hsm:1", "file:k.key", "HSM:1", "", "pkcs11:object=x"])
def test_what_is_a_path_is_no_uri(name: str) -> None:
    assert not is_key_uri(name)


def test_the_signing_process_gets_the_variables_of_its_services_alone() -> None:
    everything = {"AWS_REGION": "r", "VAULT_TOKEN": "t", "LD_PRELOAD": "evil.so", "HOME": "/root", "PATH": "/evil"}

    assert environment_for(["awskms:k", "/keys/log.key"], everything) == {"AWS_REGION": "r", "HOME": "/root"}
    assert environment_for(["/keys/log.key"], everything) == {}
