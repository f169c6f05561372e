"""Building blocks for keys that hold no role: sign a file, or say something about it.

A file is read once and never kept: its digest is what is signed. Two things are refused because a signature on them
would mean something else than "this file": content that is a DSSE pre-authentication encoding, and a key with a role
(docs/threats.md, T36 and T37).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from policyd.adapters.hashed_file import ReadFile, read_hashed
from policyd.adapters.settings import find_authority
from policyd.adapters.signers.new_file import write_new
from policyd.adapters.strict_modes import read_safe_file
from policyd.app.keys import load_attesting_key, load_free_key
from policyd.attestation.bundle import MessageSignature, render_bundle
from policyd.attestation.dsse import MAX_ENVELOPE_BYTES
from policyd.attestation.keys import DigestName
from policyd.attestation.predicate_types import require_predicate_type
from policyd.attestation.predicates import require_predicate
from policyd.attestation.statements import Named, render_statement, sign_statement
from policyd.attestation.timestamps import MAX_CHAIN_CHARACTERS, VerifiedTime, read_chain
from policyd.attestation.trust import MAX_STATEMENT_DEPTH
from policyd.errors import DocumentError, UsageError
from policyd.models.base import Sha256
from policyd.models.strict_json import read_json
from policyd.models.trust import Role, TimestampAuthority

#: A predicate becomes base64 in a bundle that has to be readable again.
MAX_PREDICATE_BYTES = MAX_ENVELOPE_BYTES // 2


@dataclass(frozen=True, slots=True)
class Stamping:
    """Where a timestamp is asked for, and whose are taken."""

    url: str
    authorities: tuple[TimestampAuthority, ...]


@dataclass(frozen=True, slots=True)
class Signed:
    """What was signed, with which key, and where the bundle stands."""

    file: Path
    digest: str  # `sha256:…`; for P-384 and P-521 keys, their own digest
    key_sha256: Sha256
    bundle: Path
    predicate_type: str | None = None
    stamped: VerifiedTime | None = None


def find_stamping(url: str | None, chain: Path | None, settings: Path | None) -> Stamping | None:
    """Return where to ask for timestamps, None where nobody asked for them.

    The option `url` wins over operator settings. `chain` (PEM) says whose timestamps are taken; without it, those of
    the trust policy's authorities.
    """
    if chain is not None and url is None:
        raise UsageError("a chain is given and no authority", where="--timestamp-chain", fix="add --timestamp-url URL")
    authority = find_authority(settings, repository=None)
    if url is None:
        if authority is None or authority.settings.timestamp is None:
            return None
        return Stamping(authority.settings.timestamp.url, authority.trust.timestamp_authorities)
    if chain is not None:
        pem = read_safe_file(chain.absolute(), max_bytes=MAX_CHAIN_CHARACTERS).decode("ascii", "replace")
        read_chain(pem, where=str(chain))
        return Stamping(url, (TimestampAuthority(name="given", certificate_chain=pem),))
    return Stamping(url, () if authority is None else authority.trust.timestamp_authorities)


def sign_file(
    file: Path,
    *,
    key: str | Path,
    bundle: Path,
    password: Callable[[], str],
    taken: Mapping[Sha256, Role],
    stamping: Stamping | None = None,
) -> Signed:
    """Sign `file` and write the Sigstore bundle. `taken` are the keys that have a role (`find_role_keys`).

    Memory stays constant for keys that sign digests. Raises `UsageError` for content that must not be signed as a file
    and for a bundle that is there already, `KeyUnusable` for the key, `TimestampError` where a timestamp can't be had.
    """
    # 1. A key of nobody's role.
    signer = load_free_key(key, password=password, taken=taken).for_blobs()

    # 2. The file, read once; what is checked is what is signed.
    algorithm: DigestName = signer.kind.digest or "sha256"
    content = read_hashed(file, [algorithm], keep_content=signer.needs_content)
    require_signable(content, file)

    # 3. The signature and its bundle.
    digest = content.digests[algorithm]
    signature = signer.sign_digest(digest) if content.content is None else signer.sign_content(content.content)
    rendered = render_bundle(MessageSignature(digest, signature, algorithm), key_sha256=signer.key_sha256)
    stamped = _write(bundle, rendered, stamping)
    return Signed(file, f"{algorithm}:{digest.hex()}", signer.key_sha256, bundle, stamped=stamped)


def attest_file(
    file: Path,
    *,
    predicate_type: str,
    predicate: Path,
    key: str | Path,
    bundle: Path,
    password: Callable[[], str],
    taken: Mapping[Sha256, Role],
    stamping: Stamping | None = None,
) -> Signed:
    """Sign a statement that says `predicate` (a JSON file) of `file`, and write the Sigstore bundle.

    Raises `UsageError` for a predicate type that only a run may use, `DocumentError` for a predicate that is no JSON
    object or does not fit its type, `KeyUnusable` for the key, `TimestampError` where a timestamp can't be had.
    """
    # 1. A predicate type that people may use, and a predicate.
    uri = require_predicate_type(predicate_type)
    document = read_predicate(predicate, uri)

    # 2. A key of nobody's role; an approval takes an approver's.
    signer = load_attesting_key(key, uri, password=password, taken=taken)

    # 3. The statement about the file as it is now.
    sha256 = read_hashed(file, ["sha256"]).digests["sha256"].hex()
    statement = render_statement([Named(file.name, sha256)], uri, document)
    stamped = _write(bundle, sign_statement(statement, signer), stamping)
    return Signed(file, f"sha256:{sha256}", signer.key_sha256, bundle, uri, stamped)


def require_signable(content: ReadFile, file: Path) -> None:
    """Raise `UsageError` for content whose signature would be one of an attestation (docs/threats.md, T37)."""
    if content.begins_as_envelope:
        raise UsageError(
            "the file begins as the bytes under an attestation do: its signature would be one of an attestation",
            where=str(file),
            fix="use `policyd attest` to say something about a file",
        )


def _write(bundle: Path, rendered: bytes, stamping: Stamping | None) -> VerifiedTime | None:
    """Write a bundle, with a timestamp where one is asked for: without it, nothing is written."""
    stamped = None
    if stamping is not None:
        from policyd.adapters.timestamping import stamp_bundle

        rendered, stamped = stamp_bundle(rendered, stamping.url, stamping.authorities, where=str(bundle))
    write_new(bundle, rendered, mode=0o644, what="a bundle")
    return stamped


def read_predicate(path: Path, predicate_type: str) -> dict[str, object]:
    """Return the predicate in a JSON file, by the URI of its type.

    Raises `DocumentError` where there is no object with something in it, or one that does not fit the type's schema.
    """
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
    require_predicate(predicate_type, document, content, where=str(path))
    return document


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> UsageError:
    return UsageError(f"the file can't be read: {error.strerror}", where=str(path), fix="name a file you can read")
