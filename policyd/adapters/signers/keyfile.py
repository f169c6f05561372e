"""Keys in files: PKCS#8 PEM or a key file of cosign, readable by their owner alone.

A `KeyFileSigner` signs what the core made. A `KeyFileBlobSigner` signs files a caller chose; it is another class so
that no role's signer can be handed a digest of somebody else's making (docs/threats.md, T36 and T37).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, assert_never

from policyd.adapters.output import read_input
from policyd.adapters.signers.new_file import write_new
from policyd.adapters.strict_modes import require_safe_file
from policyd.attestation.keys import KeyKind, PublicKey, crypto_hash, read_public_key
from policyd.errors import KeyUnusable, UnsafePermissions, UsageError
from policyd.models.base import Sha256

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    PrivateKey = EllipticCurvePrivateKey | Ed25519PrivateKey | RSAPrivateKey

Algorithm = Literal["ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519", "rsa-3072", "rsa-4096"]

MAX_KEY_BYTES = 64 * 1024  # an encrypted RSA key of 8192 bits has some 7,000
ENCRYPTED = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"


@dataclass(frozen=True, slots=True)
class GeneratedKey:
    """Where a new key pair stands, and its fingerprint."""

    private_key: Path
    public_key: Path
    public_key_pem: str
    key_sha256: Sha256


class KeyFileSigner:
    """Holds one private key in memory; fulfils the core's `Signer` port."""

    __slots__ = ("_key", "key_sha256", "kind", "public_key_pem")

    def __init__(self, key: PrivateKey) -> None:
        """Raise `KeyUnusable` for a key that policyd would not verify with either."""
        self._key = key
        self.public_key_pem = _public_pem(key)
        public_key = read_public_key(self.public_key_pem, where="private key")
        self.key_sha256: Sha256 = public_key.sha256
        self.kind: KeyKind = public_key.kind

    def sign(self, message: bytes) -> bytes:
        """Return the signature over `message`, with the algorithm of the key's kind: ECDSA in DER, RSA PKCS#1 v1.5."""
        from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

        if isinstance(self._key, ec.EllipticCurvePrivateKey):
            return self._key.sign(message, ec.ECDSA(crypto_hash(self.kind)))
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(message, padding.PKCS1v15(), crypto_hash(self.kind))
        return self._key.sign(message)

    def for_blobs(self) -> KeyFileBlobSigner:
        """Return the signer of files with this key. Ask for it only after making sure that the key has no role."""
        return KeyFileBlobSigner(self._key, self.key_sha256, self.kind)

    def __repr__(self) -> str:
        return f"KeyFileSigner(key_sha256={self.key_sha256!r})"


class KeyFileBlobSigner:
    """Signs files by their digest, or whole (Ed25519); fulfils the core's `BlobSigner` port."""

    __slots__ = ("_key", "key_sha256", "kind")

    def __init__(self, key: PrivateKey, key_sha256: Sha256, kind: KeyKind) -> None:
        self._key = key
        self.key_sha256 = key_sha256
        self.kind = kind

    @property
    def needs_content(self) -> bool:
        """True for Ed25519, which signs no digest."""
        return self.kind is KeyKind.ED25519

    def sign_digest(self, digest: bytes) -> bytes:
        """Return the signature of the file with this digest, by the key's own digest algorithm."""
        from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
        from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

        prehashed = Prehashed(crypto_hash(self.kind))  # TypeError for Ed25519
        if isinstance(self._key, ec.EllipticCurvePrivateKey):
            return self._key.sign(digest, ec.ECDSA(prehashed))
        assert isinstance(self._key, rsa.RSAPrivateKey)
        return self._key.sign(digest, padding.PKCS1v15(), prehashed)

    def sign_content(self, content: bytes) -> bytes:
        """Return the Ed25519 signature of a file."""
        from cryptography.hazmat.primitives.asymmetric import ed25519

        if not isinstance(self._key, ed25519.Ed25519PrivateKey):
            raise TypeError("this key signs digests")
        return self._key.sign(content)


def generate_key(path: Path, *, algorithm: Algorithm = "ecdsa-p256", password: str = "") -> GeneratedKey:
    """Make a key pair: the private key at `path` (NAME.key, mode 0600), the public one beside it (NAME.pub).

    With a passphrase that is not empty the private key is encrypted under it. Raises `UsageError` if either file is
    there already: replacing a key orphans everything it signed.
    """
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    if path.suffix != ".key":
        raise UsageError("a private key's name ends in .key", where=str(path), fix=f"use {path}.key")
    public_path = path.with_suffix(".pub")
    key = _generate(algorithm)
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
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

    from policyd.adapters.signers.cosign_key import decrypt_cosign_key, is_cosign_key
    from policyd.adapters.signers.pkcs8 import require_bounded

    # 1. The file, and the passphrase where it needs one. What the file asks for to open it is bounded.
    content = _read_private(path)
    of_cosign, encrypted = is_cosign_key(content), ENCRYPTED in content
    if encrypted:
        require_bounded(content, where=str(path))
    secret = "" if not encrypted and not of_cosign else password if isinstance(password, str) else password()
    if encrypted and not secret:
        raise KeyUnusable(
            "the key is encrypted and there is no passphrase",
            where=str(path),
            fix="type it on a terminal, set POLICYD_KEY_PASSWORD, or name a `password_command` in operator settings",
        )

    # 2. The key. cosign encrypts under an empty passphrase too.
    try:
        if of_cosign:
            key = load_der_private_key(decrypt_cosign_key(content, secret, where=str(path)), None)
        else:
            key = load_pem_private_key(content, secret.encode("utf-8", "surrogateescape") if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyUnusable(
            "the key does not open: the passphrase is wrong" if encrypted else "this is no private key in PKCS#8 PEM",
            where=str(path),
            fix="check the passphrase" if encrypted else "make one with `policyd key new --out NAME`",
        ) from error

    # 3. Of a kind that policyd verifies with.
    if isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey):
        try:
            return KeyFileSigner(key)
        except KeyUnusable as error:
            raise KeyUnusable(error.cause, where=str(path), fix=error.fix) from error
    raise KeyUnusable(
        "policyd signs with ECDSA, Ed25519 and RSA keys; this is another kind",
        where=str(path),
        fix="make one with `policyd key new --out NAME`",
    )


def read_key_file(path: Path, *, password: str | Callable[[], str]) -> PublicKey:
    """Return the public key in the file at `path`, or that of the private key in it.

    Raises `UsageError` for what is no file, and as `load_key` does.
    """
    content = read_input(path, max_bytes=MAX_KEY_BYTES)
    if b"PRIVATE KEY-----" in content:
        return read_public_key(load_key(path, password=password).public_key_pem, where=str(path))
    return read_public_key(content.decode("ascii", "replace"), where=str(path))


def _generate(algorithm: Algorithm) -> PrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    match algorithm:
        case "ecdsa-p256":
            return ec.generate_private_key(ec.SECP256R1())
        case "ecdsa-p384":
            return ec.generate_private_key(ec.SECP384R1())
        case "ecdsa-p521":
            return ec.generate_private_key(ec.SECP521R1())
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case "rsa-3072":
            return rsa.generate_private_key(65537, 3072)
        case "rsa-4096":
            return rsa.generate_private_key(65537, 4096)
        case _:
            assert_never(algorithm)


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
