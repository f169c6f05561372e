"""Every form of evidence that policyd reads, told apart by content: a file's name says nothing.

A file is one JSON document, or one document in each line. Each document has exactly one of the fields that its form is
known by; one that two tools could take for different things is refused. What comes out is always the same: bundles, to
be verified by the same checks, whoever wrote them. Nothing in here is believed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from policyd.attestation.bundle import Bundle, bundle_from_json
from policyd.attestation.dsse import (
    MAX_ENVELOPE_BYTES,
    MAX_ENVELOPE_DEPTH,
    Envelope,
    envelope_from_json,
)
from policyd.attestation.formats.cosign import read_cosign_bundle
from policyd.attestation.formats.envelopes import read_envelope_material
from policyd.attestation.formats.parts import require_list, require_object
from policyd.attestation.formats.pep740 import attestation_to_bundle, provenance_to_bundles
from policyd.attestation.material import BundleVersion, LogEntry
from policyd.attestation.names import PEP740_FORM
from policyd.attestation.subjects import MAX_DEPTH
from policyd.errors import DocumentError, InputTooLarge, PolicydError, UsageError
from policyd.models.strict_json import read_json

MAX_LISTED = 1_000  # GitHub gives a hundred a page, PyPI some for a file
#: Of a statement that nobody verified yet; an SBOM of 5 MB has some 500,000.
MAX_UNVERIFIED_PARTS = 600_000
#: Of one whose claimed type is only to sort it by: what policyd sorts, summaries and manifests, has at most some 5 MB.
MAX_SORTED_BYTES = 16 * 1024 * 1024
_MAX_LISTED_PARTS = 200_000  # a hundred bundles of a full log; some 20 MB once parsed
_LINE = re.compile(rb"[^ \t\r\n][^\n]*+")
_MAX_LISTED_DEPTH = MAX_ENVELOPE_DEPTH + 4

#: What `--help`, errors and docs/verifying.md call what is read here.
FORMS = (
    "a Sigstore bundle",
    "a DSSE envelope",
    "lines of these",
    "an answer of npm's or GitHub's attestations API",
    "a PEP 740 attestation or provenance",
    "cosign's bundle",
)


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of evidence in a file. `listed` says that the file may hold others, of other types and signers."""

    where: str
    bundle: Bundle
    listed: bool


def read_evidence(content: bytes, *, where: str) -> tuple[Piece, ...]:
    """Return every piece of evidence in a file, at least one; bundles of every version, which the checks weigh.

    Raises `DocumentError` if the file is of no form that is known, or if any piece of it can't be read: a file is read
    whole or not at all.
    """
    # 1. The documents: several where each line is one, which no single document's lines are.
    documents = split_lines(content, where) or [(0, content)]
    several = len(documents) > 1

    # 2. Each by its form.
    pieces: list[Piece] = []
    for number, document in documents:
        place = f"{where}, line {number}" if number else where
        value = read_json(
            document,
            where=place,
            max_bytes=MAX_ENVELOPE_BYTES,
            max_depth=_MAX_LISTED_DEPTH,
            max_parts=_MAX_LISTED_PARTS,
        )
        form = _find_form(value, place)
        for piece in form(require_object(value, "the document", place), place):
            pieces.append(replace(piece, listed=True) if several else piece)
            if len(pieces) > MAX_LISTED:
                raise _too_many(where)
    if not pieces:
        raise _unknown("it is of no form that is known", where)
    return tuple(pieces)


def add_log_entry(pieces: Sequence[Piece], entry: LogEntry, *, where: str) -> tuple[Piece, ...]:
    """Return `pieces` with the log entry put to the one signature among them that came without.

    Whether it is of that signature is for the checks to say. Raises `UsageError` where none or several could be meant.
    """
    without = [number for number, piece in enumerate(pieces) if not piece.bundle.material.entries]
    if len(without) != 1:
        raise UsageError(
            f"{len(without)} signatures came without a log entry, where the entry given is of one",
            where=where,
            fix="verify each signature in a command of its own, with its own log entry",
        )
    changed = list(pieces)
    piece = changed[without[0]]
    material = replace(piece.bundle.material, entries=(entry,))
    changed[without[0]] = replace(piece, bundle=replace(piece.bundle, material=material))
    return tuple(changed)


def find_claimed_type(bundle: Bundle) -> str | None:
    """Return the predicate type that an attestation claims to be of, before anything is verified.

    None where none can be read, also of a statement too large to be looked at before its signature is.
    """
    if not isinstance(bundle.content, Envelope):
        return None
    try:
        statement = read_json(
            bundle.content.payload,
            where="",
            max_bytes=MAX_ENVELOPE_BYTES,
            max_depth=MAX_DEPTH,
            max_parts=MAX_UNVERIFIED_PARTS,
        )
    except PolicydError:
        return None
    claimed = statement.get("predicateType") if isinstance(statement, dict) else None
    return claimed if isinstance(claimed, str) else None


def split_lines(content: bytes, where: str) -> list[tuple[int, bytes]]:
    """Return the lines of JSON Lines with their numbers; none for a single document, however many lines it has.

    Raises `InputTooLarge` for more lines than a file of evidence may have.
    """
    lines: list[tuple[int, bytes]] = []
    number, counted = 1, 0
    for found in _LINE.finditer(content):
        line = content[found.start() : found.end()].rstrip()
        if not (line.startswith(b"{") and line.endswith(b"}")):
            return []
        if len(lines) >= MAX_LISTED:
            raise _too_many(where)
        number += content.count(b"\n", counted, found.start())
        counted = found.start()
        lines.append((number, line))
    return lines if len(lines) > 1 else []


_Reader = Callable[[dict[str, object], str], Iterator[Piece]]


def _read_bundle(value: dict[str, object], where: str) -> Iterator[Piece]:
    yield Piece(where, bundle_from_json(value, where=where, oldest=BundleVersion.V0_1), listed=False)


def _read_envelope(value: dict[str, object], where: str) -> Iterator[Piece]:
    material = read_envelope_material(value, where=where)
    yield Piece(where, Bundle(envelope_from_json(value, where=where), material), listed=False)


def _read_answer(value: dict[str, object], where: str) -> Iterator[Piece]:
    """npm's `/-/npm/v1/attestations/NAME@VERSION` and GitHub's `/repos/OWNER/REPO/attestations/DIGEST`."""
    for number, item in enumerate(require_list(value["attestations"], "attestations", MAX_LISTED, where), 1):
        place = f"{where}, attestation {number}"
        listed = require_object(item, "the attestation", place)
        bundle = require_object(listed.get("bundle"), "bundle", place)
        yield Piece(place, bundle_from_json(bundle, where=place, oldest=BundleVersion.V0_1), listed=True)


def _read_pypi_provenance(value: dict[str, object], where: str) -> Iterator[Piece]:
    for number, bundle in enumerate(provenance_to_bundles(value, where), 1):
        place = f"{where}, attestation {number}"
        yield Piece(place, _from_pep740(bundle, place), listed=True)


def _read_pypi_attestation(value: dict[str, object], where: str) -> Iterator[Piece]:
    yield Piece(where, _from_pep740(attestation_to_bundle(value, where), where), listed=False)


def _read_cosign(value: dict[str, object], where: str) -> Iterator[Piece]:
    yield Piece(where, read_cosign_bundle(value, where=where), listed=False)


def _from_pep740(value: dict[str, object], where: str) -> Bundle:
    return bundle_from_json(value, where=where, oldest=BundleVersion.V0_1, form=PEP740_FORM)


def _read_plan(value: dict[str, object], where: str) -> Iterator[Piece]:
    """A run's plan, which stands in an export beside what names it by digest. Nobody signs it, so it is no evidence."""
    if value["policyd"] != "plan/v1":
        raise _unknown("it is of no form that is known", where)
    yield from ()


#: The field that each form is known by; a document has exactly one of them.
_FORMS: dict[str, _Reader] = {
    "mediaType": _read_bundle,
    "payloadType": _read_envelope,
    "attestations": _read_answer,
    "attestation_bundles": _read_pypi_provenance,
    "verification_material": _read_pypi_attestation,
    "base64Signature": _read_cosign,
    "policyd": _read_plan,
}


def _find_form(value: object, where: str) -> _Reader:
    named = [reader for field, reader in _FORMS.items() if isinstance(value, dict) and field in value]
    if len(named) == 1:
        return named[0]
    cause = "it is of no form that is known" if not named else "it could be of several forms"
    raise _unknown(cause, where)


def _unknown(cause: str, where: str) -> DocumentError:
    return DocumentError(
        f"{cause} as evidence", where=where, fix=f"give {', '.join(FORMS[:-1])} or {FORMS[-1]}, as its signer wrote it"
    )


def _too_many(where: str) -> InputTooLarge:
    return InputTooLarge(
        f"the file holds more than {MAX_LISTED} pieces of evidence", where=where, fix="verify them in several files"
    )
