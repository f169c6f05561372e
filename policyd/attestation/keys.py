"""Public keys and the algorithms policyd verifies with.

The algorithm follows from the key's type alone, never from the message: ECDSA P-256 with SHA-256, ECDSA P-384 with
SHA-384, Ed25519. A key is named by its fingerprint, the SHA-256 of its SubjectPublicKeyInfo DER, so the same key under
two names is still one key.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from policyd.errors import KeyUnusable
from policyd.models.base import Sha256

# cryptography takes 45 ms to import and most commands verify nothing: it is imported by the functions that need it.
if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MAX_PEM_CHARACTERS = 4096  # a P-384 key in PEM has 215


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key of a kind policyd verifies with."""

    sha256: Sha256
    pem: str
    key: EllipticCurvePublicKey | Ed25519PublicKey


@lru_cache(maxsize=256)
def read_public_key(pem: str, *, where: str) -> PublicKey:
    """Return the key in `pem` (SubjectPublicKeyInfo); `KeyUnusable` if it isn't one from our list."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    if len(pem) > MAX_PEM_CHARACTERS:
        raise _unusable("the public key is too long", where)
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _unusable("not a public key in PEM (-----BEGIN PUBLIC KEY-----)", where) from error
    if isinstance(key, ec.EllipticCurvePublicKey):
        if not isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
            raise _unusable(f"the key is on the curve {key.curve.name}", where)
    elif not isinstance(key, ed25519.Ed25519PublicKey):
        raise _unusable("the key is of another kind", where)
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return PublicKey(sha256=hashlib.sha256(der).hexdigest(), pem=pem, key=key)


def is_signed_by(key: PublicKey, signature: bytes, message: bytes) -> bool:
    """Say whether `signature` is one of `message` by `key`, with the algorithm of the key's type."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        if isinstance(key.key, ec.EllipticCurvePublicKey):
            digest = hashes.SHA384() if isinstance(key.key.curve, ec.SECP384R1) else hashes.SHA256()
            key.key.verify(signature, message, ec.ECDSA(digest))
        else:
            key.key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def is_digest_signed_by(key: PublicKey, signature: bytes, sha256: Sha256) -> bool:
    """Say whether `signature` is one by `key` of the file with this SHA-256.

    Raises `KeyUnusable` for a key that does not sign SHA-256 digests (P-384, Ed25519): then the whole file is needed.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

    if not isinstance(key.key, ec.EllipticCurvePublicKey) or not isinstance(key.key.curve, ec.SECP256R1):
        raise KeyUnusable(
            "this kind of key does not sign SHA-256 digests",
            where=f"key sha256:{key.sha256}",
            fix="verify with the whole file, or use an ECDSA P-256 key",
        )
    try:
        key.key.verify(signature, bytes.fromhex(sha256), ec.ECDSA(Prehashed(hashes.SHA256())))
    except InvalidSignature:
        return False
    return True


def _unusable(cause: str, where: str) -> KeyUnusable:
    return KeyUnusable(cause, where=where, fix="use an ECDSA P-256 or P-384 or an Ed25519 public key in PEM")
