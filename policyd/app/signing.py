"""Building blocks for keys that hold no role: sign a file, or say something about it.

A file is read once and never kept: its SHA-256 is what is signed. Two things are refused because a signature on them
would mean something else than "this file": content that is a DSSE pre-authentication encoding, and a key with a role
(docs/threats.md, T36 and T37).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from policyd.adapters.signers.keyfile import MAX_ED25519_FILE_BYTES, KeyFileSigner
from policyd.adapters.signers.new_file import write_new
from policyd.app.keys import load_free_key
from policyd.attestation.bundle import MessageSignature, render_bundle
from policyd.attestation.dsse import MAX_ENVELOPE_BYTES, PAE_START
from policyd.attestation.predicate_types import require_predicate_type
from policyd.attestation.statements import Named, render_statement, sign_statement
from policyd.attestation.trust import MAX_STATEMENT_DEPTH
from policyd.errors import DocumentError, InputTooLarge, UsageError
from policyd.models.base import Sha256
from policyd.models.strict_json import read_json
from policyd.models.trust import Role

CHUNK_BYTES = 1024 * 1024
#: A predicate becomes base64 in a bundle that has to be readable again.
MAX_PREDICATE_BYTES = MAX_ENVELOPE_BYTES // 2


@dataclass(frozen=True, slots=True)
class Signed:
    """What was signed, with which key, and where the bundle stands."""

    file: Path
    sha256: Sha256
    key_sha256: Sha256
    bundle: Path
    predicate_type: str | None = None


@dataclass(frozen=True, slots=True)
class _Content:
    sha256: bytes
    start: bytes
    whole: bytes | None


def sign_file(
    file: Path, *, key: Path, bundle: Path, password: Callable[[], str], taken: Mapping[Sha256, Role]
) -> Signed:
    """Sign `file` and write the Sigstore bundle. `taken` are the keys that have a role (`find_role_keys`).

    Memory stays constant for an ECDSA key. Raises `UsageError` for content that must not be signed as a file and for
    a bundle that is there already, `KeyUnusable` for the key.
    """
    # 1. A key of nobody's role.
    signer = load_free_key(key, password=password, taken=taken).for_blobs()

    # 2. The file, read once; what is checked is what is signed.
    keep = MAX_ED25519_FILE_BYTES if signer.needs_content else 0
    content = _read(file, keep_bytes=keep)
    if content.start == PAE_START:
        raise UsageError(
            "the file begins as the bytes under an attestation do: its signature would be one of an attestation",
            where=str(file),
            fix="use `policyd attest` to say something about a file",
        )

    # 3. The signature and its bundle.
    whole = content.whole
    signature = signer.sign_digest(content.sha256) if whole is None else signer.sign_content(whole)
    sha256 = content.sha256.hex()
    rendered = render_bundle(MessageSignature(sha256=sha256, signature=signature), key_sha256=signer.key_sha256)
    write_new(bundle, rendered, mode=0o644, what="a bundle")
    return Signed(file=file, sha256=sha256, key_sha256=signer.key_sha256, bundle=bundle)


def attest_file(
    file: Path,
    *,
    predicate_type: str,
    predicate: Path,
    key: Path,
    bundle: Path,
    password: Callable[[], str],
    taken: Mapping[Sha256, Role],
) -> Signed:
    """Sign a statement that says `predicate` (a JSON file) of `file`, and write the Sigstore bundle.

    Raises `UsageError` for a predicate type that only a run may use, `DocumentError` for a predicate that is no JSON
    object, `KeyUnusable` for the key.
    """
    # 1. A predicate type that people may use, and a predicate.
    uri = require_predicate_type(predicate_type)
    document = _read_predicate(predicate)

    # 2. A key of nobody's role.
    signer: KeyFileSigner = load_free_key(key, password=password, taken=taken)

    # 3. The statement about the file as it is now.
    content = _read(file, keep_bytes=0)
    sha256 = content.sha256.hex()
    statement = render_statement([Named(file.name, sha256)], uri, document)
    write_new(bundle, sign_statement(statement, signer), mode=0o644, what="a bundle")
    return Signed(file=file, sha256=sha256, key_sha256=signer.key_sha256, bundle=bundle, predicate_type=uri)


def _read(file: Path, *, keep_bytes: int) -> _Content:
    """Hash `file` once; keep its content only where `keep_bytes` allows for it."""
    digest = hashlib.sha256()
    start, whole = b"", bytearray()
    with _open(file) as stream:
        try:
            while chunk := stream.read(CHUNK_BYTES):
                digest.update(chunk)
                if len(start) < len(PAE_START):
                    start = (start + chunk)[: len(PAE_START)]  # a pipe may hand over a byte at a time
                if keep_bytes:
                    whole += chunk
                    if len(whole) > keep_bytes:
                        raise InputTooLarge(
                            f"an Ed25519 key signs files of at most {keep_bytes} bytes",
                            where=str(file),
                            fix="sign with an ECDSA P-256 key: policyd keygen --out NAME",
                        )
        except OSError as error:
            raise _unreadable(file, error) from error
    return _Content(sha256=digest.digest(), start=start, whole=bytes(whole) if keep_bytes else None)


def _read_predicate(path: Path) -> dict[str, object]:
    with _open(path) as stream:
        try:
            content = stream.read(MAX_PREDICATE_BYTES + 1)
        except OSError as error:
            raise _unreadable(path, error) from error
    document = read_json(content, where=str(path), max_bytes=MAX_PREDICATE_BYTES, max_depth=MAX_STATEMENT_DEPTH - 1)
    if not isinstance(document, dict) or not document:
        raise DocumentError(
            "the predicate is not a JSON object with something in it",
            where=str(path),
            fix="give the predicate alone, without the statement around it",
        )
    return document


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> UsageError:
    return UsageError(f"the file can't be read: {error.strerror}", where=str(path), fix="name a file you can read")
