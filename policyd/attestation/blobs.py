"""The signature of a file, with the key that its signer is known by.

A bundle says which digest the file has; that is compared and not believed. What the signature is verified with is the
digest that was computed of the file at hand, by the algorithm that the key's kind names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from policyd.attestation.bundle import MessageSignature, read_bundle
from policyd.attestation.keys import DigestName, KeyKind, PublicKey, is_digest_signed_by, is_signed_by, read_public_key
from policyd.errors import DocumentError, KeyUnusable, SignatureInvalid, SubjectMismatch


@dataclass(frozen=True, slots=True)
class HashedFile:
    """A file as it was read once: the digests asked for, and its content where an Ed25519 key will need it."""

    digests: Mapping[DigestName, bytes]
    content: bytes | None = None


@dataclass(frozen=True, slots=True)
class BlobSignature:
    """A signed file's bundle and the key to verify it with, before the file is read."""

    signed: MessageSignature
    key: PublicKey

    @property
    def digests(self) -> frozenset[DigestName]:
        """The digests of the file that `verify_blob` needs; at least one."""
        names = {self.key.kind.digest, self.signed.algorithm if self.signed.digest else None}
        return frozenset(name for name in names if name is not None) or frozenset({"sha256"})

    @property
    def needs_content(self) -> bool:
        """True for Ed25519, which signs the file itself."""
        return self.key.kind is KeyKind.ED25519


def read_blob_signature(content: bytes, public_key_pem: str, *, where: str) -> BlobSignature:
    """Return what a bundle of a signed file holds; `DocumentError` for an attestation, `KeyUnusable` for the key."""
    signed = read_bundle(content, where=where).content
    if not isinstance(signed, MessageSignature):
        raise DocumentError(
            "the bundle holds an attestation, not the signature of a file",
            where=where,
            fix="verify it as an attestation",
        )
    return BlobSignature(signed, read_public_key(public_key_pem, where="the public key given"))


def verify_blob(blob: BlobSignature, file: HashedFile, *, where: str) -> None:
    """Return if the key signed `file`, else raise.

    `SubjectMismatch` where the bundle is for another file, `SignatureInvalid` where the key did not sign it.
    """
    signed, key = blob.signed, blob.key

    # 1. The file that the bundle says it is for. Only Ed25519 bundles may leave that out: they sign no digest. A
    #    signature in a file of its own says nothing at all.
    if signed.digest:
        found = file.digests[signed.algorithm]
        if found != signed.digest:
            raise SubjectMismatch(
                f"the bundle is for the file {signed.algorithm}:{signed.digest.hex()}, "
                f"not {signed.algorithm}:{found.hex()}",
                where=where,
                fix="give the file that was signed",
            )
    elif key.kind is not KeyKind.ED25519 and not signed.detached:
        raise DocumentError("the bundle names no digest of the file", where=where, fix="have it signed again")

    # 2. The signature, of the file as it was read.
    if key.kind.digest is not None:
        holds = is_digest_signed_by(key, signed.signature, file.digests[key.kind.digest])
    elif file.content is None:
        raise KeyUnusable(
            "an Ed25519 key signs the whole file", where=where, fix="name the file itself, not its digest"
        )
    else:
        holds = is_signed_by(key, signed.signature, file.content, or_prehashed=True)
    if not holds:
        raise SignatureInvalid(
            f"not signed by the key sha256:{key.sha256}", where=where, fix="check that this is the signer's key"
        )
