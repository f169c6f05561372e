"""Keys of every kind, made once a process."""

from __future__ import annotations

from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from policyd.adapters.signers.keyfile import KeyFileSigner
from policyd.attestation.keys import KeyKind

KINDS = list(KeyKind)


def signer(kind: KeyKind, name: str = "a") -> KeyFileSigner:
    """Return the key of this kind called `name`: the same one whenever it is asked for."""
    return _make(kind, name)


@cache
def _make(kind: KeyKind, name: str) -> KeyFileSigner:
    del name
    match kind:
        case KeyKind.P256:
            return KeyFileSigner(ec.generate_private_key(ec.SECP256R1()))
        case KeyKind.P384:
            return KeyFileSigner(ec.generate_private_key(ec.SECP384R1()))
        case KeyKind.P521:
            return KeyFileSigner(ec.generate_private_key(ec.SECP521R1()))
        case KeyKind.ED25519:
            return KeyFileSigner(ed25519.Ed25519PrivateKey.generate())
        case KeyKind.RSA:
            return KeyFileSigner(rsa.generate_private_key(65537, 3072))


def pem_of(public_key: PublicKeyTypes) -> str:
    """Return a public key in PEM."""
    return public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
