from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from nacl.bindings import (
    crypto_sign_ed25519ph_final_create,
    crypto_sign_ed25519ph_state,
    crypto_sign_ed25519ph_update,
    crypto_sign_seed_keypair,
)

from policyd.attestation.keys import KeyKind, is_digest_signed_by, is_signed_by, read_public_key
from policyd.errors import KeyUnusable
from tests.attestation.made_keys import KINDS, pem_of, signer
from tests.attestation.made_run import key


def test_the_fingerprint_is_the_sha256_of_the_der() -> None:
    pem = key("a").public_key_pem
    der = load_pem_public_key(pem.encode()).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    assert read_public_key(pem, where="x").sha256 == hashlib.sha256(der).hexdigest()


@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_is_of_one_key_and_one_message(kind: KeyKind) -> None:
    public, stranger = (read_public_key(signer(kind, name).public_key_pem, where="x") for name in "ab")

    signature = signer(kind).sign(b"message")

    assert public.kind is kind
    assert is_signed_by(public, signature, b"message")
    assert not is_signed_by(public, signature, b"messagf")
    assert not is_signed_by(stranger, signature, b"message")
    assert not is_signed_by(public, b"", b"message")
    assert not is_signed_by(public, signature + b"\x00", b"message")
    assert not is_signed_by(public, signature[:-1], b"message")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.digest])
def test_the_digest_of_a_message_can_be_verified_without_it(kind: KeyKind) -> None:
    assert kind.digest is not None
    public = read_public_key(signer(kind).public_key_pem, where="x")
    signature = signer(kind).sign(b"message")

    assert is_digest_signed_by(public, signature, hashlib.new(kind.digest, b"message").digest())
    assert not is_digest_signed_by(public, signature, hashlib.new(kind.digest, b"other").digest())
    assert not is_digest_signed_by(public, signature, hashlib.sha1(b"message").digest())


def test_an_ed25519_key_signs_no_digest() -> None:
    public = read_public_key(signer(KeyKind.ED25519).public_key_pem, where="x")

    with pytest.raises(KeyUnusable):
        is_digest_signed_by(public, b"signature", hashlib.sha256(b"m").digest())


@pytest.mark.parametrize(
    ("kind", "size"), [(KeyKind.P256, 32), (KeyKind.P384, 48), (KeyKind.P521, 66)], ids=["p256", "p384", "p521"]
)
def test_an_ecdsa_signature_is_der_and_not_two_numbers_side_by_side(kind: KeyKind, size: int) -> None:
    """cosign 3.1.3 takes both; then one signature has two spellings."""
    public = read_public_key(signer(kind).public_key_pem, where="x")
    signature = signer(kind).sign(b"message")

    raw = b"".join(number.to_bytes(size, "big") for number in decode_dss_signature(signature))

    assert not is_signed_by(public, raw, b"message")


@pytest.mark.parametrize(
    "other",
    [ec.ECDSA(SHA256()), ec.ECDSA(SHA512())],
    ids=["sha256", "sha512"],
)
def test_the_digest_is_the_one_of_the_curve(other: ec.ECDSA) -> None:
    private = ec.generate_private_key(ec.SECP384R1())
    public = read_public_key(pem_of(private.public_key()), where="x")

    assert is_signed_by(public, private.sign(b"message", ec.ECDSA(SHA384())), b"message")
    assert not is_signed_by(public, private.sign(b"message", other), b"message")


def test_an_rsa_signature_is_pkcs1_v15_with_sha256_and_nothing_else() -> None:
    private = rsa.generate_private_key(65537, 3072)
    public = read_public_key(pem_of(private.public_key()), where="x")
    pss = padding.PSS(padding.MGF1(SHA256()), padding.PSS.MAX_LENGTH)

    assert is_signed_by(public, private.sign(b"message", padding.PKCS1v15(), SHA256()), b"message")
    assert not is_signed_by(public, private.sign(b"message", padding.PKCS1v15(), SHA512()), b"message")
    assert not is_signed_by(public, private.sign(b"message", pss, SHA256()), b"message")


def test_a_prehashed_ed25519_signature_counts_only_where_it_is_asked_for() -> None:
    raw_public, raw_private = crypto_sign_seed_keypair(bytes(range(32)))
    state = crypto_sign_ed25519ph_state()
    crypto_sign_ed25519ph_update(state, b"message")
    signature = crypto_sign_ed25519ph_final_create(state, raw_private)
    public = read_public_key(pem_of(ed25519.Ed25519PublicKey.from_public_bytes(raw_public)), where="x")

    assert is_signed_by(public, signature, b"message", or_prehashed=True)
    assert not is_signed_by(public, signature, b"messagf", or_prehashed=True)
    assert not is_signed_by(public, signature[:-1], b"message", or_prehashed=True)
    assert not is_signed_by(public, signature, b"message")


def test_what_openssl_signs_verifies(tmp_path: Path) -> None:
    """The other implementation, for the curve that the published vectors leave out."""
    message = tmp_path / "message"
    message.write_bytes(b"message")
    for arguments in (
        ["ecparam", "-name", "secp521r1", "-genkey", "-noout", "-out", "k.pem"],
        ["pkey", "-in", "k.pem", "-pubout", "-out", "k.pub"],
        ["dgst", "-sha512", "-sign", "k.pem", "-out", "signature", "message"],
    ):
        subprocess.run(["openssl", *arguments], cwd=tmp_path, check=True, timeout=60, capture_output=True)

    public = read_public_key((tmp_path / "k.pub").read_text(), where="x")

    assert is_signed_by(public, (tmp_path / "signature").read_bytes(), b"message")


def _other_keys() -> dict[str, Callable[[], PublicKeyTypes]]:
    return {
        "rsa-2048": lambda: rsa.generate_private_key(65537, 2048).public_key(),
        "rsa, e = 3": lambda: rsa.generate_private_key(3, 3072).public_key(),
        "dsa": lambda: dsa.generate_private_key(2048).public_key(),
        "ed448": lambda: ed448.Ed448PrivateKey.generate().public_key(),
        "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()).public_key(),
        "brainpool": lambda: ec.generate_private_key(ec.BrainpoolP256R1()).public_key(),
        "p224": lambda: ec.generate_private_key(ec.SECP224R1()).public_key(),
    }


@pytest.mark.parametrize("kind", ["rsa-2048", "rsa, e = 3", "dsa", "ed448", "secp256k1", "brainpool", "p224"])
def test_keys_of_other_kinds_are_refused(kind: str) -> None:
    pem = pem_of(_other_keys()[kind]())

    with pytest.raises(KeyUnusable) as caught:
        read_public_key(pem, where="trust.yaml")

    assert caught.value.where == "trust.yaml"


_SMALL_ORDER = [
    "01" + "00" * 31,
    "00" * 32,
    "00" * 31 + "80",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "ec" + "ff" * 30 + "7f",
    "ee" + "ff" * 30 + "7f",
]


@pytest.mark.parametrize("point", _SMALL_ORDER)
def test_an_ed25519_key_of_small_order_is_none(point: str) -> None:
    """With the first of these, a signature of a one and zeros holds for every message."""
    public = ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(point))
    if point == _SMALL_ORDER[0]:
        public.verify(bytes.fromhex(point) + bytes(32), b"any message")

    with pytest.raises(KeyUnusable, match="small order"):
        read_public_key(pem_of(public), where="trust.yaml")


def test_two_keys_in_one_text_are_none() -> None:
    """OpenSSL takes the first and says nothing; the next tool may take the last."""
    both = key("a").public_key_pem + key("b").public_key_pem

    with pytest.raises(KeyUnusable, match="more than one key"):
        read_public_key(both, where="trust.yaml")


def test_a_key_of_more_than_a_keys_length_is_refused_unread() -> None:
    with pytest.raises(KeyUnusable, match="too long"):
        read_public_key(key("a").public_key_pem + "\n" * 5000, where="trust.yaml")


@pytest.mark.parametrize(
    ("bits", "exponent"), [(8200, 65537), (3072, 2**64 + 1), (3072, 65535)], ids=["large", "large e", "small e"]
)
def test_an_rsa_key_out_of_bounds_is_refused(bits: int, exponent: int) -> None:
    """The modulus needs no factors for this: whoever writes a trust policy could write any number."""
    pem = pem_of(rsa.RSAPublicNumbers(exponent, (1 << bits) - 1).public_key())

    with pytest.raises(KeyUnusable, match="RSA"):
        read_public_key(pem, where="trust.yaml")
