"""Key files of cosign: PKCS#8 in a secretbox (XSalsa20 and Poly1305) under a passphrase stretched with scrypt.

Read, never written. What the file asks of scrypt is bounded before anything is derived: these are numbers that
whoever wrote the file chose.

Source: secure-systems-lab/go-securesystemslib v0.9, encrypted/encrypted.go; sigstore/cosign v3.1.3, pkg/cosign/keys.go.
"""

from __future__ import annotations

import base64
import binascii
import json

from policyd.errors import KeyUnusable

#: The labels of `-----BEGIN …-----`; the second is of cosign before 2.0.
LABELS = (b"ENCRYPTED SIGSTORE PRIVATE KEY", b"ENCRYPTED COSIGN PRIVATE KEY")
#: cosign writes N = 65536, r = 8, p = 1: 64 MiB. Four times as much is let through.
MAX_N, MAX_R, MAX_P = 2**18, 8, 4
_KEY_BYTES = 32
_MIN_SALT_BYTES = 16
_NONCE_BYTES = 24


def is_cosign_key(content: bytes) -> bool:
    """Say whether `content` is a key file that cosign encrypted."""
    return any(b"-----BEGIN " + label + b"-----" in content for label in LABELS)


def decrypt_cosign_key(content: bytes, password: str, *, where: str) -> bytes:
    """Return the PKCS#8 DER in a key file of cosign. Raises `KeyUnusable` for another file or passphrase."""
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
    from nacl.exceptions import CryptoError
    from nacl.secret import SecretBox

    # 1. The document, in the one form that cosign writes.
    try:
        body = content.split(b"-----", 4)[2]
        document = json.loads(base64.b64decode(b"".join(body.split()), validate=True))
        kdf, cipher = document["kdf"], document["cipher"]
        n, r, p = (kdf["params"][name] for name in ("N", "r", "p"))
        salt, nonce = (base64.b64decode(text, validate=True) for text in (kdf["salt"], cipher["nonce"]))
        ciphertext = base64.b64decode(document["ciphertext"], validate=True)
        names = (kdf["name"], cipher["name"])
    except (IndexError, KeyError, TypeError, ValueError, RecursionError, binascii.Error) as error:
        raise _unusable("it is not as cosign writes them", where) from error
    if names != ("scrypt", "nacl/secretbox"):
        raise _unusable(f"it is encrypted with {names[0]!r:.40} and {names[1]!r:.40}", where)

    # 2. Bounds, before anything is derived.
    if not all(type(number) is int and number > 0 for number in (n, r, p)) or n > MAX_N or r > MAX_R or p > MAX_P:
        raise _unusable("what it asks of scrypt is out of bounds", where)
    if n < 2 or n & (n - 1) or len(nonce) != _NONCE_BYTES or len(salt) < _MIN_SALT_BYTES:
        raise _unusable("its salt, nonce or scrypt parameters are malformed", where)

    # 3. The key under it.
    secret = Scrypt(salt=salt, length=_KEY_BYTES, n=n, r=r, p=p).derive(password.encode("utf-8", "surrogateescape"))
    try:
        return SecretBox(secret).decrypt(ciphertext, nonce)
    except CryptoError as error:
        raise KeyUnusable(
            "the key does not open: the passphrase is wrong", where=where, fix="check the passphrase"
        ) from error


def _unusable(cause: str, where: str) -> KeyUnusable:
    return KeyUnusable(
        f"the key of cosign can't be used: {cause}",
        where=where,
        fix="make a key with `policyd key new --out NAME`, or take one that cosign 1.0 or later made",
    )
