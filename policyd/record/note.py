"""Signed notes: a text, a blank line, and lines that each carry one Ed25519 signature over the text.

A key is known by its name and a four-byte id; the id only picks the key to try and proves nothing. Signatures by
unknown keys are ignored, so that witnesses can add theirs.

Source: C2SP signed-note v1.0.0, "Format" and "Ed25519 signatures".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from policyd.errors import DocumentError, KeyUnusable, SignatureInvalid
from policyd.models.base import Sha256
from policyd.models.canonical import sha256_hex

MAX_NOTE_BYTES = 64 * 1024  # a checkpoint has 200; room for the 16 signatures that the specification asks for
MAX_SIGNATURES = 16
_ED25519 = b"\x01"
_DASH = "\u2014 "


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A public key with the name it signs under."""

    name: str
    public_key: bytes  # 32 bytes, RFC 8032

    def __post_init__(self) -> None:
        if not _is_name(self.name):
            raise KeyUnusable(
                f"{self.name!r} can't name a key", where="note key", fix="use a name without spaces, '+' and controls"
            )

    @property
    def id(self) -> bytes:
        """The key id: the first four bytes of a hash over name, algorithm and key."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public_key).digest()[:4]


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line, not verified."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A note as it parses, not verified."""

    text: str
    signatures: tuple[NoteSignature, ...]


@dataclass(frozen=True, slots=True)
class VerifiedNote:
    """A text that at least one of the expected keys signed. Built by `verify_note` alone."""

    text: str
    keys: tuple[NoteKey, ...]


def read_public_key(pem: str) -> tuple[bytes, Sha256]:
    """Return the 32 bytes of an Ed25519 public key in PEM, and its fingerprint (sha256 of its SubjectPublicKeyInfo).

    Raises `KeyUnusable` for anything else: signed notes of policyd have one algorithm.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyUnusable("not a public key", where="log key", fix="give a PEM file with a public key") from error
    if not isinstance(key, Ed25519PublicKey):
        raise KeyUnusable("not an Ed25519 key", where="log key", fix="the record is signed with an Ed25519 key")
    return key.public_bytes_raw(), sha256_hex(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def sign_note(text: str, key: NoteKey, sign: Callable[[bytes], bytes]) -> str:
    """Return `text` as a note signed by `key`; `sign` returns its Ed25519 signature over the bytes it is given.

    Raises `ValueError` for a text that a note can't hold.
    """
    if not text.endswith("\n") or not _is_printable(text):
        raise ValueError("the text of a note ends in a newline and holds no control characters")
    line = base64.b64encode(key.id + sign(text.encode())).decode()
    return f"{text}\n{_DASH}{key.name} {line}\n"


def read_note(note: str) -> Note:
    """Parse a note without verifying it. Raises `DocumentError` if it is not one."""
    if len(note) > MAX_NOTE_BYTES or not _is_printable(note):
        raise _malformed("it is too long or holds control characters")
    text, blank, lines = note.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise _malformed("it has no signature lines")
    signatures = [_read_signature(line) for line in lines[:-1].split("\n")]
    if len(signatures) > MAX_SIGNATURES:
        raise _malformed(f"it has more than {MAX_SIGNATURES} signatures")
    return Note(text=text + "\n", signatures=tuple(signatures))


def verify_note(note: str, keys: Sequence[NoteKey]) -> VerifiedNote:
    """Return the text of `note` if one of `keys` signed it and no signature by any of them is wrong.

    Raises `DocumentError` if it is no note, `SignatureInvalid` if it is not signed as it should be.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    parsed = read_note(note)

    # 1. Only keys the caller expects count; name and id must both be theirs.
    known = {(key.name, key.id): key for key in keys}
    signers: list[NoteKey] = []
    for signature in parsed.signatures:
        key = known.get((signature.name, signature.key_id))
        if key is None:
            continue

        # 2. A wrong signature by an expected key spoils the note, whatever else it carries.
        try:
            Ed25519PublicKey.from_public_bytes(key.public_key).verify(signature.signature, parsed.text.encode())
        except InvalidSignature as error:
            raise SignatureInvalid(
                f"the signature of {key.name} is wrong", where="signed note", fix="do not trust it; get it again"
            ) from error
        signers.append(key)

    # 3. Somebody expected did sign.
    if not signers:
        raise SignatureInvalid(
            "no expected key signed this note",
            where=f"signed by {', '.join(sorted({one.name for one in parsed.signatures}))}",
            fix="check that the log key in the trust policy is the one that signs the record",
        )
    return VerifiedNote(text=parsed.text, keys=tuple(signers))


def read_base64(text: str) -> bytes:
    """Decode standard base64 with padding; one text for one value. Raises `ValueError` otherwise."""
    try:
        content = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError("not base64") from error
    if base64.b64encode(content).decode() != text:
        raise ValueError("not the one base64 form of these bytes")
    return content


def _read_signature(line: str) -> NoteSignature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space or not _is_name(name):
        raise _malformed("a signature line is not of the form '\u2014 NAME BASE64'")
    try:
        content = read_base64(encoded)
    except ValueError as error:
        raise _malformed("a signature is not base64") from error
    if len(content) < 5:
        raise _malformed("a signature is too short")
    return NoteSignature(name=name, key_id=content[:4], signature=content[4:])


def _is_name(name: str) -> bool:
    return bool(name) and "+" not in name and _is_printable(name) and not any(char.isspace() for char in name)


def _is_printable(text: str) -> bool:
    return not any(char < " " and char != "\n" for char in text)


def _malformed(cause: str) -> DocumentError:
    return DocumentError(f"not a signed note: {cause}", where="signed note", fix="get the note again from its source")
