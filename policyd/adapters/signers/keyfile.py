"""Keys in files: PKCS#8 PEM, ECDSA P-256 or Ed25519, readable by their owner alone.

A `KeyFileSigner` signs what the core made. A `BlobSigner` signs files a caller chose; it is another class so that no
role's signer can be handed a digest of somebody else's making (docs/threats.md, T36 and T37).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from policyd.adapters.signers.new_file import write_new
from policyd.adapters.strict_modes import require_safe_file
from policyd.attestation.keys import read_public_key
from policyd.errors import KeyUnusable, UnsafePermissions, UsageError
from policyd.models.base import Sha256

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    PrivateKey = EllipticCurvePrivateKey | Ed25519PrivateKey

Algorithm = Literal["ecdsa-p256", "ed25519"]

MAX_KEY_BYTES = 64 * 1024  # an encrypted key has some 600
#: An Ed25519 signature covers the file and not its digest, so the file has to fit into memory.
MAX_ED25519_FILE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class GeneratedKey:
    """Where a new key pair stands, and its fingerprint."""

    private_key: Path
    public_key: Path
    public_key_pem: str
    key_sha256: Sha256


class KeyFileSigner:
    """Holds one private key in memory; fulfils the core's `Signer` port."""

    __slots__ = ("_key", "key_sha256", "public_key_pem")

    def __init__(self, key: PrivateKey) -> None:
        self._key = key
        self.public_key_pem = _public_pem(key)
        self.key_sha256: Sha256 = read_public_key(self.public_key_pem, where="private key").sha256

    def sign(self, message: bytes) -> bytes:
        """Return the signature over `message`: ECDSA P-256/SHA-256 in DER, or Ed25519 (64 bytes)."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

        if isinstance(self._key, ec.EllipticCurvePrivateKey):
            return self._key.sign(message, ec.ECDSA(hashes.SHA256()))
        return self._key.sign(message)

    def for_blobs(self) -> BlobSigner:
        """Return the signer of files with this key. Ask for it only after making sure that the key has no role."""
        return BlobSigner(self._key, self.key_sha256)

    def __repr__(self) -> str:
        return f"KeyFileSigner(key_sha256={self.key_sha256!r})"


class BlobSigner:
    """Signs files by their SHA-256 (ECDSA), or whole (Ed25519)."""

    __slots__ = ("_key", "key_sha256")

    def __init__(self, key: PrivateKey, key_sha256: Sha256) -> None:
        self._key = key
        self.key_sha256 = key_sha256

    @property
    def needs_content(self) -> bool:
        """True where the digest is not enough and `sign_content` has to be used."""
        from cryptography.hazmat.primitives.asymmetric import ed25519

        return isinstance(self._key, ed25519.Ed25519PrivateKey)

    def sign_digest(self, sha256: bytes) -> bytes:
        """Return the ECDSA signature, in DER, of the file with this SHA-256."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

        if not isinstance(self._key, ec.EllipticCurvePrivateKey):
            raise TypeError("an Ed25519 key signs content")
        return self._key.sign(sha256, ec.ECDSA(Prehashed(hashes.SHA256())))

    def sign_content(self, content: bytes) -> bytes:
        """Return the Ed25519 signature of a file."""
        from cryptography.hazmat.primitives.asymmetric import ed25519

        if not isinstance(self._key, ed25519.Ed25519PrivateKey):
            raise TypeError("an ECDSA key signs digests")
        return self._key.sign(content)


def generate_key(path: Path, *, algorithm: Algorithm = "ecdsa-p256", password: str = "") -> GeneratedKey:
    """Make a key pair: the private key at `path` (NAME.key, mode 0600), the public one beside it (NAME.pub).

    With a passphrase that is not empty the private key is encrypted under it. Raises `UsageError` if either file is
    there already: replacing a key orphans everything it signed.
    """
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    if path.suffix != ".key":
        raise UsageError("a private key's name ends in .key", where=str(path), fix=f"use {path}.key")
    public_path = path.with_suffix(".pub")
    key: PrivateKey
    match algorithm:
        case "ecdsa-p256":
            key = ec.generate_private_key(ec.SECP256R1())
        case "ed25519":
            key = ed25519.Ed25519PrivateKey.generate()
    if password:
        from policyd.adapters.signers.pkcs8 import encrypt_pkcs8

        private = encrypt_pkcs8(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), password)
    else:
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    signer = KeyFileSigner(key)

    write_new(path, private, mode=0o600, what="a key")
    try:
        write_new(public_path, signer.public_key_pem.encode(), mode=0o644, what="a key")
    except BaseException:
        path.unlink()  # ours, made a moment ago: half a pair is of no use
        raise
    return GeneratedKey(path, public_path, signer.public_key_pem, signer.key_sha256)


def load_key(path: Path, *, password: str | Callable[[], str]) -> KeyFileSigner:
    """Return the signer for the private key at `path`; the passphrase is asked for only where the key is encrypted.

    Raises `UnsafePermissions` for a file that others can read or change, and `KeyUnusable` for one that is missing, is
    no PKCS#8 key of a kind policyd signs with, or does not open with this passphrase.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = _read_private(path)
    encrypted = b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in content
    secret = "" if not encrypted else password if isinstance(password, str) else password()
    if encrypted and not secret:
        raise KeyUnusable(
            "the key is encrypted and there is no passphrase",
            where=str(path),
            fix="type it on a terminal, or set POLICYD_KEY_PASSWORD",
        )
    try:
        key = load_pem_private_key(content, secret.encode("utf-8", "surrogateescape") if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyUnusable(
            "the key does not open: the passphrase is wrong" if encrypted else "this is no private key in PKCS#8 PEM",
            where=str(path),
            fix="check the passphrase" if encrypted else "make one with `policyd keygen --out NAME`",
        ) from error
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return KeyFileSigner(key)
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return KeyFileSigner(key)
    raise KeyUnusable(
        "policyd signs with ECDSA P-256 and Ed25519 keys; this is another kind",
        where=str(path),
        fix="make one with `policyd keygen --out NAME`",
    )


def _read_private(path: Path) -> bytes:
    if not os.path.lexists(path):
        raise KeyUnusable("there is no such key", where=str(path), fix="name a private key (NAME.key)")
    found = require_safe_file(path)
    try:
        descriptor = os.open(found, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise KeyUnusable(
            f"the key can't be read: {error.strerror}", where=str(path), fix="run policyd as the key's owner"
        ) from error
    with os.fdopen(descriptor, "rb") as file:
        # Asked of the open file: what was looked at is what is read.
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode) or state.st_uid not in (0, os.geteuid()):
            raise UnsafePermissions(
                "the private key is not a regular file of yours or of root", where=str(path), fix="name the key itself"
            )
        if state.st_mode & 0o077:
            raise UnsafePermissions(
                f"the private key is open to others (mode {stat.S_IMODE(state.st_mode):04o})",
                where=str(path),
                fix=f"chmod 600 '{path}', and think about who may have read it",
            )
        content = file.read(MAX_KEY_BYTES + 1)
    if len(content) > MAX_KEY_BYTES:
        raise KeyUnusable("the file is too large for a key", where=str(path), fix="name a private key (NAME.key)")
    return content


def _public_pem(key: PrivateKey) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
