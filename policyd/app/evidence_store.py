"""`policyd evidence`: what is known of an artifact from elsewhere, kept in the store until somebody verifies it.

Adding makes nothing trusted. A file of evidence is read, put into the one form that everything is verified in, and
filed under the digests that it claims to speak of; whether a claim holds is for `policyd verify` to say.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from policyd.adapters.artifacts import Artifact, read_artifact
from policyd.adapters.output import read_input, write_output
from policyd.adapters.settings import Authority, require_authority
from policyd.adapters.stores.evidence import MAX_INDEXED_DIGESTS, AddedEvidence, EvidenceStore, digest_names
from policyd.app.run_export import export_runs
from policyd.attestation.bundle import read_bundle
from policyd.attestation.direct import ArtifactFile
from policyd.attestation.dsse import MAX_ENVELOPE_BYTES, Envelope
from policyd.attestation.formats.reading import MAX_LISTED, MAX_UNVERIFIED_PARTS, Piece, add_log_entry, read_evidence
from policyd.attestation.formats.rekor import MAX_ENTRY_BYTES, read_rekor_entry
from policyd.attestation.formats.rendering import render_evidence
from policyd.attestation.keys import DigestName
from policyd.attestation.material import BundleVersion
from policyd.attestation.subjects import MAX_DEPTH, Subject, read_statement
from policyd.errors import DocumentError, InputTooLarge, SubjectMismatch, UsageError, VerificationFailed
from policyd.models.base import rfc3339
from policyd.models.canonical import sha256_hex
from policyd.models.statement import PAYLOAD_TYPE
from policyd.models.strict_json import read_json

MAX_FILES = 1_000
#: An SBOM of 23 MB takes 31 in its envelope. One piece is there up to four times while it is put into its kept form.
MAX_FILE_BYTES = 40 * 1024 * 1024
MAX_BYTES_TOTAL = 256 * 1024 * 1024
MIN_BEGINNING = 6
_MAX_LABEL = 1024
_ALL: tuple[DigestName, ...] = ("sha256", "sha384", "sha512")


@dataclass(frozen=True, slots=True)
class Added:
    """A piece of evidence that is in the store now, and whether it was new there."""

    note: AddedEvidence
    is_new: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """A piece of evidence, what was noted of it, and its statement where it has one that can be read."""

    note: AddedEvidence
    bundle: bytes
    statement: object | None


def add_evidence(
    files: Sequence[Path],
    *,
    artifact: str | None,
    log_entry: Path | None,
    settings: Path | None,
    now: Callable[[], datetime],
) -> tuple[Added, ...]:
    """Add every piece of evidence in `files` to the operator's store.

    All are read before the first is kept. Raises `DocumentError` for a file that can't be read or filed, and with an
    `artifact` `SubjectMismatch` for evidence that does not claim to speak of it.
    """
    # 1. Everything is read.
    pieces = _read_files(files)
    if log_entry is not None:
        entry = read_rekor_entry(read_input(log_entry, max_bytes=MAX_ENTRY_BYTES), where=str(log_entry))
        pieces = list(add_log_entry(pieces, entry, where=str(log_entry)))
    read = None if artifact is None else read_artifact(artifact, _ALL)

    # 2. What each claims to speak of.
    moment = rfc3339(now())
    filed = [_file(piece, read, moment) for piece in pieces]

    # 3. All is kept.
    authority = require_authority(settings, repository=None)
    store = EvidenceStore.create(Path(authority.settings.store))
    return tuple(Added(note, store.add(content, note, digests)) for content, note, digests in filed)


def list_evidence(artifact: str | None, *, settings: Path | None) -> tuple[AddedEvidence, ...]:
    """Return what was added to the store: everything, or what claims to speak of `artifact`."""
    digests = None if artifact is None else _digests_of(artifact)
    store = _find_store(settings)
    if store is None:
        return ()
    return tuple(store.list_added() if digests is None else store.find_by_digests(digests))


def show_evidence(name: str, *, settings: Path | None) -> Shown:
    """Return the one piece of evidence whose digest begins with `name`; `UsageError` if none does, or several."""
    beginning = name.removeprefix("sha256:").lower()
    store = _find_store(settings)
    found = store.find_names(beginning) if store is not None and len(beginning) >= MIN_BEGINNING else []
    if store is None or len(found) != 1:
        raise UsageError(
            f"{len(found) or 'no'} pieces of evidence begin so",
            where=name[:128],
            fix=f"`policyd evidence list` names them; write at least {MIN_BEGINNING} digits",
        )
    content = store.get(found[0])
    return Shown(store.require(found[0]), content, _find_statement(content))


def export_evidence(artifact: str, *, settings: Path | None, out: Path | None, target: str | None = None) -> bytes:
    """Return what the store has of `artifact`, a line each, also written to `out` where it is named.

    That is what its runs made (`run_export`, which says what `target` is for), then what was added. Raises `UsageError`
    where there is nothing.
    """
    files = read_artifact(artifact, _ALL).files
    authority = require_authority(settings, repository=None)
    sha256s = [file.digests["sha256"].hex() for file in files if "sha256" in file.digests]
    lines = export_runs(sha256s, authority=authority, target=target)
    lines += find_evidence((name for file in files for name in digest_names(file.digests)), store=_store_of(authority))
    if not lines:
        raise UsageError(
            "there is no evidence of it in the store",
            where=artifact,
            fix="add some with `policyd evidence add FILE`; `policyd evidence list` names what is there",
        )
    if len(lines) > MAX_LISTED:
        raise InputTooLarge(
            f"it is {len(lines)} pieces, and a file of evidence holds {MAX_LISTED}",
            where=artifact,
            fix="hand on the summary of the release, which `policyd show RUN` names",
        )
    content = b"".join(lines)
    if out is not None:
        write_output(out, content)
    return content


def find_evidence(digests: Iterable[str], *, store: Path) -> tuple[bytes, ...]:
    """Return what was added to a store and claims to speak of any of `digests` (`sha256-HEX`): a bundle each.

    None of it is verified.
    """
    evidence = EvidenceStore.find(store)
    return () if evidence is None else tuple(evidence.get(note.sha256) for note in evidence.find_by_digests(digests))


def _store_of(authority: Authority) -> Path:
    return Path(authority.settings.store)


def _find_store(settings: Path | None) -> EvidenceStore | None:
    authority = require_authority(settings, repository=None)
    return EvidenceStore.find(_store_of(authority))


def _read_files(files: Sequence[Path]) -> list[Piece]:
    if len(files) > MAX_FILES:
        raise UsageError(f"more than {MAX_FILES} files", where="evidence", fix="add them in several commands")
    pieces: list[Piece] = []
    total = 0
    for path in files:
        content = read_input(path, max_bytes=MAX_FILE_BYTES)
        total += len(content)
        if total > MAX_BYTES_TOTAL:
            raise InputTooLarge(
                f"the files have more than {MAX_BYTES_TOTAL} bytes together",
                where=str(path),
                fix="add them in several commands",
            )
        pieces += read_evidence(content, where=str(path))
    return pieces


def _file(piece: Piece, artifact: Artifact | None, moment: str) -> tuple[bytes, AddedEvidence, list[str]]:
    """Return the evidence as it is kept, what is noted of it, and the digests to find it by."""
    content = piece.bundle.content
    kind, subjects, predicate_type = _read_claims(piece, artifact)
    digests = {name for subject in subjects for name in digest_names(subject.digests)}
    meant: list[ArtifactFile] = []
    if artifact is not None:
        meant = [file for file in artifact.files if any(subject.is_of(file.digests) for subject in subjects)]
        if not meant:
            raise SubjectMismatch(
                f"it does not speak of {artifact.name}", where=piece.where, fix="name the artifact that it is of"
            )
        digests |= {name for file in meant for name in digest_names(file.digests)}
    if len(digests) > MAX_INDEXED_DIGESTS:
        raise InputTooLarge(
            f"it speaks of more than {MAX_INDEXED_DIGESTS} digests",
            where=piece.where,
            fix="hand it in where it is needed: policyd verify --bundle",
        )
    whole = render_evidence(piece.bundle, None if isinstance(content, Envelope) or not meant else meant[0].digests)
    note = AddedEvidence(
        sha256=sha256_hex(whole),
        kind="attestation" if kind else "signature",
        predicate_type=predicate_type,
        subjects=len(subjects),
        first_subject=subjects[0].name[:_MAX_LABEL],
        source=Path(piece.where).name[:_MAX_LABEL],
        added_at=moment,
    )
    return whole, note, sorted(digests)


def _read_claims(piece: Piece, artifact: Artifact | None) -> tuple[bool, Sequence[Subject], str | None]:
    """Return whether it is an attestation, what it claims to speak of, and its claimed type."""
    content = piece.bundle.content
    if isinstance(content, Envelope):
        if content.payload_type != PAYLOAD_TYPE:
            raise DocumentError(
                f"its payload type is {content.payload_type}, which says nothing of an artifact",
                where=piece.where,
                fix=f"add attestations ({PAYLOAD_TYPE}) or signatures of files",
            )
        read_json(  # nobody has verified it: bounded as such before it is looked at
            content.payload,
            where=piece.where,
            max_bytes=MAX_ENVELOPE_BYTES,
            max_depth=MAX_DEPTH,
            max_parts=MAX_UNVERIFIED_PARTS,
        )
        try:
            statement, subjects = read_statement(content.payload, where=piece.where)
        except VerificationFailed as error:
            raise DocumentError(error.cause, where=error.where, fix=error.fix) from error
        return True, subjects, statement.predicate_type[:_MAX_LABEL]
    if content.digest:
        return False, (Subject("", {content.algorithm: content.digest}),), None
    if artifact is None or len(artifact.files) != 1:
        raise DocumentError(
            "it does not say which file it is of", where=piece.where, fix="name that file: --artifact FILE"
        )
    return False, (Subject(artifact.files[0].name, artifact.files[0].digests),), None


def _digests_of(artifact: str) -> list[str]:
    return [name for file in read_artifact(artifact, _ALL).files for name in digest_names(file.digests)]


def _find_statement(content: bytes) -> object | None:
    bundle = read_bundle(content, where="evidence", oldest=BundleVersion.V0_1)
    if not isinstance(bundle.content, Envelope):
        return None
    return read_json(bundle.content.payload, where="statement", max_bytes=MAX_ENVELOPE_BYTES, max_depth=64)


def describe_bundle(content: bytes) -> object:
    """Return a kept bundle as the JSON value it is."""
    value: object = json.loads(content)
    return value
