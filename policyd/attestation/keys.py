"""Public keys and the algorithms policyd verifies with.

The algorithm follows from the key's type alone, never from the message: ECDSA on P-256 with SHA-256, on P-384 with
SHA-384, on P-521 with SHA-512 (signatures in DER, never two raw numbers); Ed25519; RSA from 3072 bits with PKCS#1 v1.5
and SHA-256. A key is named by its fingerprint, the SHA-256 of its SubjectPublicKeyInfo DER, so the same key under two
names is still one key.

Source: sigstore/architecture-docs, algorithm-registry.md; FIPS 186-5 sections 5.1 and 6.1 (RSA exponents, ECDSA);
RFC 7748 section 7 and RFC 8032 section 5.1 (points of small order).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from policyd.errors import KeyUnusable
from policyd.models.base import Sha256

# cryptography takes 45 ms to import and most commands verify nothing: it is imported by the functions that need it.
if TYPE_CHECKING:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    CryptoPublicKey = EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey

DigestName = Literal["sha256", "sha384", "sha512"]

MAX_PEM_CHARACTERS = 4096  # an RSA key of 8192 bits has 1,500
MIN_RSA_BITS = 3072  # what NIST SP 800-57 holds for as strong as P-256
MAX_RSA_BITS = 8192  # keeps verification cheap
#: Small exponents have broken padding checks again and again; OpenSSL bounds large ones itself at 64 bits.
MIN_RSA_EXPONENT, MAX_RSA_EXPONENT = 65537, 2**64
#: Ed25519 points of small order, without the sign bit: under such a "key" one signature holds for any message.
_SMALL_ORDER = frozenset(
    bytes.fromhex(point)
    for point in (
        "00" * 32,
        "01" + "00" * 31,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    )
)


class KeyKind(StrEnum):
    """What a key signs with."""

    P256 = "ecdsa-p256"
    P384 = "ecdsa-p384"
    P521 = "ecdsa-p521"
    ED25519 = "ed25519"
    RSA = "rsa"

    @property
    def digest(self) -> DigestName | None:
        """The digest that is signed; None for Ed25519, which signs the message itself."""
        return _DIGESTS[self]


_DIGESTS: dict[KeyKind, DigestName | None] = {
    KeyKind.P256: "sha256",
    KeyKind.P384: "sha384",
    KeyKind.P521: "sha512",
    KeyKind.ED25519: None,
    KeyKind.RSA: "sha256",
}
_CURVES = {"secp256r1": KeyKind.P256, "secp384r1": KeyKind.P384, "secp521r1": KeyKind.P521}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key of a kind policyd verifies with. Built by `read_public_key` alone."""

    sha256: Sha256
    pem: str
    kind: KeyKind
    key: CryptoPublicKey

    def describe(self) -> str:
        """Return its kind in words, with the size where the kind leaves it open."""
        from cryptography.hazmat.primitives.asymmetric import rsa

        return f"{self.kind}-{self.key.key_size}" if isinstance(self.key, rsa.RSAPublicKey) else str(self.kind)


@lru_cache(maxsize=256)
def read_public_key(pem: str, *, where: str) -> PublicKey:
    """Return the key in `pem` (SubjectPublicKeyInfo); `KeyUnusable` if it isn't one from our list."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    if len(pem) > MAX_PEM_CHARACTERS:
        raise _unusable("the public key is too long", where)
    if pem.count("-----BEGIN ") > 1:
        raise _unusable("the file holds more than one key: which one is meant is not said", where)
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _unusable("not a public key in PEM (-----BEGIN PUBLIC KEY-----)", where) from error
    if isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name not in _CURVES:
            raise _unusable(f"the key is on the curve {key.curve.name}", where)
        kind = _CURVES[key.curve.name]
    elif isinstance(key, rsa.RSAPublicKey):
        _require_safe_rsa(key, where)
        kind = KeyKind.RSA
    elif isinstance(key, ed25519.Ed25519PublicKey):
        _require_safe_ed25519(key, where)
        kind = KeyKind.ED25519
    else:
        raise _unusable("the key is of another kind", where)
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return PublicKey(sha256=hashlib.sha256(der).hexdigest(), pem=pem, kind=kind, key=key)


def is_signed_by(key: PublicKey, signature: bytes, message: bytes, *, or_prehashed: bool = False) -> bool:
    """Say whether `signature` is one of `message` by `key`, with the algorithm of the key's type.

    With `or_prehashed`, an Ed25519ph signature of the same message counts too: cosign 3.1.3 signs attestations so.
    RFC 8032 keeps the two apart from each other, so neither can be taken for one of another message.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

    try:
        if isinstance(key.key, ec.EllipticCurvePublicKey):
            key.key.verify(signature, message, ec.ECDSA(crypto_hash(key.kind)))
        elif isinstance(key.key, rsa.RSAPublicKey):
            key.key.verify(signature, message, padding.PKCS1v15(), crypto_hash(key.kind))
        else:
            key.key.verify(signature, message)
    except InvalidSignature:
        return or_prehashed and key.kind is KeyKind.ED25519 and _is_prehashed(key, signature, message)
    return True


def is_digest_signed_by(key: PublicKey, signature: bytes, digest: bytes) -> bool:
    """Say whether `signature` is one by `key` of a message with this `digest`, by the key's own digest algorithm.

    Raises `KeyUnusable` for an Ed25519 key, which signs no digest: then the whole message is needed.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

    name = key.kind.digest
    if name is None:
        raise KeyUnusable(
            "an Ed25519 key does not sign digests",
            where=f"key sha256:{key.sha256}",
            fix="verify with the whole file",
        )
    if len(digest) != hashlib.new(name).digest_size:
        return False
    try:
        if isinstance(key.key, ec.EllipticCurvePublicKey):
            key.key.verify(signature, digest, ec.ECDSA(Prehashed(crypto_hash(key.kind))))
        elif isinstance(key.key, rsa.RSAPublicKey):
            key.key.verify(signature, digest, padding.PKCS1v15(), Prehashed(crypto_hash(key.kind)))
    except InvalidSignature:
        return False
    return True


def crypto_hash(kind: KeyKind) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512:
    """Return cryptography's object for the digest a kind of key signs; `TypeError` for Ed25519."""
    from cryptography.hazmat.primitives import hashes

    match kind.digest:
        case "sha256":
            return hashes.SHA256()
        case "sha384":
            return hashes.SHA384()
        case "sha512":
            return hashes.SHA512()
        case None:
            raise TypeError("an Ed25519 key signs content")


def _is_prehashed(key: PublicKey, signature: bytes, message: bytes) -> bool:
    from cryptography.hazmat.primitives.asymmetric import ed25519
    from nacl.bindings import (
        crypto_sign_ed25519ph_final_verify,
        crypto_sign_ed25519ph_state,
        crypto_sign_ed25519ph_update,
    )
    from nacl.exceptions import CryptoError

    assert isinstance(key.key, ed25519.Ed25519PublicKey)
    state = crypto_sign_ed25519ph_state()
    crypto_sign_ed25519ph_update(state, message)
    try:
        return bool(crypto_sign_ed25519ph_final_verify(state, signature, key.key.public_bytes_raw()))
    except CryptoError:  # a wrong length too
        return False


def _require_safe_rsa(key: RSAPublicKey, where: str) -> None:
    if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise _unusable(f"an RSA key of {key.key_size} bits, not {MIN_RSA_BITS} to {MAX_RSA_BITS}", where)
    exponent = key.public_numbers().e
    if exponent % 2 == 0 or not MIN_RSA_EXPONENT <= exponent < MAX_RSA_EXPONENT:
        raise _unusable(f"an RSA key with the public exponent {exponent}", where)


def _require_safe_ed25519(key: Ed25519PublicKey, where: str) -> None:
    raw = key.public_bytes_raw()
    if raw[:-1] + bytes([raw[-1] & 0x7F]) in _SMALL_ORDER:
        raise _unusable("the Ed25519 key is a point of small order: anybody could have signed anything with it", where)


def _unusable(cause: str, where: str) -> KeyUnusable:
    return KeyUnusable(
        cause,
        where=where,
        fix=f"use a public key in PEM: ECDSA P-256, P-384 or P-521, Ed25519, or RSA from {MIN_RSA_BITS} bits on",
    )
