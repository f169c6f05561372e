"""Which artifact a statement speaks of: its subjects, by digest.

Digests that count are SHA-256 and stronger. A subject is the artifact when they share one, and all that they share are
equal: a weak digest never counts, no digest in common is no match, and one that differs is a contradiction
(docs/threats.md, T26). Names are labels, shown and not compared.

Source: in-toto Attestation Framework v1.2.0, spec/v1/statement.md, digest_set.md and validation.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from policyd.attestation.dsse import MAX_ENVELOPE_BYTES
from policyd.attestation.keys import DigestName
from policyd.errors import DocumentError, SubjectMismatch, VerificationFailed
from policyd.models.statement import STATEMENT_V01, STATEMENT_V1, ResourceDescriptor, Statement
from policyd.models.strict_json import read_model

MAX_DEPTH = 64  # CycloneDX nests components in components
MAX_SUBJECTS = 100_000  # each is looked at; a build of a distribution has some thousand
#: Hex digits of the digests that count.
_LENGTHS: dict[DigestName, int] = {"sha256": 64, "sha384": 96, "sha512": 128}
_HEX = frozenset("0123456789abcdef")

Digests = Mapping[DigestName, bytes]


@dataclass(frozen=True, slots=True)
class Subject:
    """What a statement says it speaks of: a label, and the digests that count. There is at least one."""

    name: str
    digests: Digests

    def is_of(self, digests: Digests) -> bool:
        """Say whether this is the file with `digests`: at least one in common, and all of those equal."""
        shared = [name for name in self.digests if name in digests]
        return bool(shared) and all(self.digests[name] == digests[name] for name in shared)


def read_statement(payload: bytes, *, where: str) -> tuple[Statement, tuple[Subject, ...]]:
    """Return the in-toto statement (v1 or v0.1) in verified bytes, and its subjects.

    Raises `VerificationFailed` for bytes that are none, `SubjectMismatch` for a subject without a digest that counts.
    """
    # 1. Strict JSON with the fields of a statement; fields we do not know are kept.
    try:
        statement = read_model(Statement, payload, where=where, max_bytes=MAX_ENVELOPE_BYTES, max_depth=MAX_DEPTH)
    except DocumentError as error:
        raise _refused(f"the signed payload is no in-toto statement: {error.cause}", where) from error

    # 2. A version we know, and a type of predicate.
    if statement.type_ not in (STATEMENT_V1, STATEMENT_V01):
        raise _refused(f"the statement's _type is {statement.type_[:128]!r}", where)
    if not statement.predicate_type:
        raise _refused("the statement does not say of which type it is: its predicateType is empty", where)

    # 3. At least one subject, and every one named by a digest that counts: one that is named weakly names anything.
    if not 0 < len(statement.subject) <= MAX_SUBJECTS:
        raise SubjectMismatch(
            f"the statement has {len(statement.subject)} subjects, not 1 to {MAX_SUBJECTS}",
            where=where,
            fix="name what it speaks of, by SHA-256",
        )
    return statement, tuple(_read_subject(subject, where) for subject in statement.subject)


def _read_subject(subject: ResourceDescriptor, where: str) -> Subject:
    digests: dict[DigestName, bytes] = {}
    for name, length in _LENGTHS.items():
        value = (subject.digest or {}).get(name)
        if value is None:
            continue
        if len(value) != length or not _HEX.issuperset(value):
            raise SubjectMismatch(
                f"the {name} of a subject is not {length} lower-case hex digits",
                where=where,
                fix="name every subject by its SHA-256",
            )
        digests[name] = bytes.fromhex(value)
    if not digests:
        raise SubjectMismatch(
            f"the subject {(subject.name or subject.uri or '')[:128]!r} has no SHA-256 and nothing stronger",
            where=where,
            fix="name every subject by its SHA-256",
        )
    return Subject(name=subject.name or subject.uri or "", digests=digests)


def _refused(cause: str, where: str) -> VerificationFailed:
    return VerificationFailed(cause, where=where, fix="ask the signer for a statement that follows in-toto v1")
