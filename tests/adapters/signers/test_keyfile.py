from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from pathlib import Path
from typing import get_args

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from policyd.adapters.signers.keyfile import Algorithm, KeyFileSigner, generate_key, load_key, read_key_file
from policyd.attestation.keys import is_digest_signed_by, is_signed_by, read_public_key
from policyd.errors import KeyUnusable, PolicydError, UnsafePermissions, UsageError

ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)


def _never() -> str:
    raise AssertionError("the passphrase was asked for")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("password", ["", "pässword"])
def test_a_key_that_was_made_signs(tmp_path: Path, algorithm: Algorithm, password: str) -> None:
    made = generate_key(tmp_path / "k.key", algorithm=algorithm, password=password)

    signer = load_key(made.private_key, password=password)

    public = read_public_key(made.public_key.read_text(), where="k.pub")
    assert signer.key_sha256 == made.key_sha256 == public.sha256
    assert signer.public_key_pem == made.public_key_pem == made.public_key.read_text()
    assert is_signed_by(public, signer.sign(b"message"), b"message")


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_a_private_key_is_its_owners_alone(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        made = generate_key(tmp_path / "k.key")
    finally:
        os.umask(before)

    assert stat.S_IMODE(made.private_key.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.public_key.stat().st_mode) == 0o644


@pytest.mark.parametrize("taken", ["k.key", "k.pub"])
def test_nothing_is_overwritten_and_no_half_pair_is_left(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).write_text("precious")

    with pytest.raises(UsageError, match="already"):
        generate_key(tmp_path / "k.key")

    assert [path.name for path in tmp_path.iterdir()] == [taken]
    assert (tmp_path / taken).read_text() == "precious"


def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "k.key").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(UsageError):
        generate_key(tmp_path / "k.key")

    assert not (tmp_path / "elsewhere").exists()


def test_a_private_key_is_named_as_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.key"):
        generate_key(tmp_path / "k.pub")


def test_a_passphrase_is_asked_for_only_where_it_is_needed(tmp_path: Path) -> None:
    plain = generate_key(tmp_path / "plain.key")
    encrypted = generate_key(tmp_path / "encrypted.key", password="x")

    assert load_key(plain.private_key, password=_never)
    assert load_key(plain.private_key, password="for another key")
    assert load_key(encrypted.private_key, password=lambda: "x")


@pytest.mark.parametrize("password", ["", "wrong"])
def test_an_encrypted_key_opens_with_its_passphrase_alone(tmp_path: Path, password: str) -> None:
    made = generate_key(tmp_path / "k.key", password="right")

    with pytest.raises(KeyUnusable, match="passphrase"):
        load_key(made.private_key, password=password)


def test_openssl_opens_an_encrypted_key(tmp_path: Path) -> None:
    made = generate_key(tmp_path / "k.key", password="right")

    opened = subprocess.run(
        ["openssl", "pkey", "-in", str(made.private_key), "-passin", "pass:right", "-pubout"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert opened.stdout == made.public_key_pem


def test_a_passphrase_costs_memory_to_guess(tmp_path: Path) -> None:
    """PBKDF2 with 2,048 rounds, cryptography's own choice, falls to guessing."""
    made = generate_key(tmp_path / "k.key", password="right")

    parsed = subprocess.run(
        ["openssl", "asn1parse", "-in", str(made.private_key)], capture_output=True, text=True, check=True, timeout=60
    )

    assert ":scrypt" in parsed.stdout
    assert "PBKDF2" not in parsed.stdout


def test_keys_encrypted_by_other_tools_open(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    path = tmp_path / "other.key"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")))
    path.chmod(0o600)

    assert load_key(path, password="x").sign(b"m")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o602, 0o610])
def test_a_key_that_others_can_open_is_refused(tmp_path: Path, mode: int) -> None:
    made = generate_key(tmp_path / "k.key")
    made.private_key.chmod(mode)

    with pytest.raises(UnsafePermissions):
        load_key(made.private_key, password="")


def test_a_key_in_a_folder_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    made = generate_key(folder / "k.key")
    folder.chmod(0o777)

    with pytest.raises(UnsafePermissions):
        load_key(made.private_key, password="")


def test_a_link_to_a_key_is_refused(tmp_path: Path) -> None:
    made = generate_key(tmp_path / "k.key")
    (tmp_path / "link.key").symlink_to(made.private_key)

    with pytest.raises(UnsafePermissions):
        load_key(tmp_path / "link.key", password="")


@pytest.mark.usefixtures("root")
def test_a_key_of_another_user_is_refused(tmp_path: Path) -> None:
    made = generate_key(tmp_path / "k.key")
    os.chown(made.private_key, 12345, 12345)

    with pytest.raises(UnsafePermissions):
        load_key(made.private_key, password="")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.key", 0o600)
    (tmp_path / "folder.key").mkdir(mode=0o700)

    for name in ("fifo.key", "folder.key", "missing.key"):
        with pytest.raises(PolicydError) as caught:
            load_key(tmp_path / name, password="")
        assert caught.value.exit_code == 2


def _pem(kind: str) -> bytes:
    key = (
        rsa.generate_private_key(65537, 2048)
        if kind == "rsa"
        else ec.generate_private_key(ec.SECP224R1() if kind == "p224" else ec.SECP256K1())
    )
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"junk",
        b"\xff" * 100,
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        b"A" * 100000,
        _pem("rsa"),
        _pem("p224"),
        _pem("secp256k1"),
    ],
    ids=["empty", "junk", "binary", "broken", "large", "rsa-2048", "p224", "secp256k1"],
)
def test_what_is_no_key_we_sign_with_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "k.key"
    path.write_bytes(content)
    path.chmod(0o600)

    with pytest.raises(KeyUnusable):
        load_key(path, password="x")


def test_no_secret_shows_in_a_repr(tmp_path: Path) -> None:
    made = generate_key(tmp_path / "k.key")

    assert repr(load_key(made.private_key, password="")) == f"KeyFileSigner(key_sha256={made.key_sha256!r})"


@pytest.mark.parametrize("algorithm", [one for one in ALGORITHMS if one != "ed25519"])
def test_files_are_signed_by_another_signer_than_statements(tmp_path: Path, algorithm: Algorithm) -> None:
    """A role's signer has no way to sign a digest that somebody hands it."""
    made = generate_key(tmp_path / "k.key", algorithm=algorithm)
    signer = load_key(made.private_key, password="")

    blob = signer.for_blobs()

    public = read_public_key(made.public_key_pem, where="x")
    assert blob.kind.digest is not None
    digest = hashlib.new(blob.kind.digest, b"content").digest()
    assert not blob.needs_content
    assert is_digest_signed_by(public, blob.sign_digest(digest), digest)
    assert not hasattr(KeyFileSigner, "sign_digest")
    with pytest.raises(TypeError):
        blob.sign_content(b"content")
    with pytest.raises(ValueError, match="digest"):
        blob.sign_digest(b"too short")


def test_an_ed25519_key_signs_content_and_no_digest(tmp_path: Path) -> None:
    made = generate_key(tmp_path / "k.key", algorithm="ed25519")
    blob = load_key(made.private_key, password="").for_blobs()

    public = read_public_key(made.public_key_pem, where="x")
    assert blob.needs_content
    assert is_signed_by(public, blob.sign_content(b"content"), b"content")
    with pytest.raises(TypeError):
        blob.sign_digest(bytes(32))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_openssl_makes_keys_that_open(tmp_path: Path, algorithm: Algorithm) -> None:
    """With a passphrase, as `openssl genpkey -aes256` stretches it: PBKDF2."""
    how = {
        "ecdsa-p256": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "ecdsa-p384": ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
        "ecdsa-p521": ["EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
        "ed25519": ["ED25519"],
        "rsa-3072": ["RSA", "-pkeyopt", "rsa_keygen_bits:3072"],
        "rsa-4096": ["RSA", "-pkeyopt", "rsa_keygen_bits:4096"],
    }[algorithm]
    path = tmp_path / "k.pem"
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", *how, "-aes256", "-pass", "pass:x", "-out", str(path)],
        check=True,
        timeout=120,
        capture_output=True,
    )
    path.chmod(0o600)

    signer = load_key(path, password="x")

    public = read_public_key(signer.public_key_pem, where="x")
    assert public.describe() == algorithm
    assert is_signed_by(public, signer.sign(b"message"), b"message")


def test_a_key_file_is_read_as_the_public_key_it_holds(tmp_path: Path) -> None:
    made = generate_key(tmp_path / "k.key", password="x")

    assert read_key_file(made.public_key, password=_never).sha256 == made.key_sha256
    assert read_key_file(made.private_key, password="x").sha256 == made.key_sha256
    for name in ("nothing", "."):
        with pytest.raises(UsageError):
            read_key_file(tmp_path / name, password=_never)
