from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from policyd.attestation.keys import is_digest_signed_by, is_signed_by, read_public_key
from policyd.errors import KeyUnusable
from tests.attestation.made_run import ed25519_key, key


def test_the_fingerprint_is_the_sha256_of_the_der() -> None:
    pem = key("a").public_key_pem
    der = load_pem_public_key(pem.encode()).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    assert read_public_key(pem, where="x").sha256 == hashlib.sha256(der).hexdigest()


@pytest.mark.parametrize("name", ["p256", "ed25519"])
def test_a_signature_is_of_one_key_and_one_message(name: str) -> None:
    signer, other = (key("a"), key("b")) if name == "p256" else (ed25519_key("a"), ed25519_key("b"))
    public, stranger = (read_public_key(s.public_key_pem, where="x") for s in (signer, other))

    signature = signer.sign(b"message")

    assert is_signed_by(public, signature, b"message")
    assert not is_signed_by(public, signature, b"messagf")
    assert not is_signed_by(stranger, signature, b"message")
    assert not is_signed_by(public, b"", b"message")
    assert not is_signed_by(public, signature + b"\x00", b"message")
    assert not is_signed_by(public, signature[:-1], b"message")


def test_the_sha256_of_a_message_can_be_verified_without_it() -> None:
    public = read_public_key(key("a").public_key_pem, where="x")
    signature = key("a").sign(b"message")

    assert is_digest_signed_by(public, signature, hashlib.sha256(b"message").hexdigest())
    assert not is_digest_signed_by(public, signature, hashlib.sha256(b"other").hexdigest())


def _other_keys() -> dict[str, PublicKeyTypes]:
    return {
        "rsa": rsa.generate_private_key(65537, 2048).public_key(),
        "ed448": ed448.Ed448PrivateKey.generate().public_key(),
        "p521": ec.generate_private_key(ec.SECP521R1()).public_key(),
        "secp256k1": ec.generate_private_key(ec.SECP256K1()).public_key(),
    }


@pytest.mark.parametrize("kind", ["rsa", "ed448", "p521", "secp256k1"])
def test_keys_of_other_kinds_are_refused(kind: str) -> None:
    pem = _other_keys()[kind].public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    with pytest.raises(KeyUnusable) as caught:
        read_public_key(pem, where="trust.yaml")

    assert caught.value.where == "trust.yaml"


def test_a_key_of_more_than_a_keys_length_is_refused_unread() -> None:
    with pytest.raises(KeyUnusable, match="too long"):
        read_public_key(key("a").public_key_pem + "\n" * 5000, where="trust.yaml")


def test_only_p256_keys_sign_sha256_digests() -> None:
    p384 = ec.generate_private_key(ec.SECP384R1()).public_key()
    pem = p384.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    for other in (pem, ed25519_key("a").public_key_pem):
        with pytest.raises(KeyUnusable):
            is_digest_signed_by(read_public_key(other, where="x"), b"signature", hashlib.sha256(b"m").hexdigest())
