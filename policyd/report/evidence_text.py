"""Evidence in the store, as people read it: what it claims to be, and that nobody verified that."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Protocol

from policyd.report.layout import count
from policyd.report.text import show

UNVERIFIED = "as they claim; `policyd verify` says what holds"


class EvidenceNote(Protocol):
    """What was noted of a piece of evidence when it was added."""

    @property
    def sha256(self) -> str:
        """Its digest."""

    @property
    def kind(self) -> str:
        """An attestation, or the signature of a file."""

    @property
    def predicate_type(self) -> str | None:
        """The type that an attestation claims."""

    @property
    def subjects(self) -> int:
        """How many things it speaks of."""

    @property
    def first_subject(self) -> str:
        """What it calls the first of them."""

    @property
    def source(self) -> str:
        """The file that it was in."""

    @property
    def added_at(self) -> str:
        """When it was added."""


def render_evidence_list(notes: Sequence[EvidenceNote]) -> str:
    """Return one line for each; ends in a newline."""
    lines = [f"sha256:{note.sha256[:16]}  {_describe(note)}" for note in notes]
    lines.append(f"{count(len(notes), 'piece')} of evidence{', ' + UNVERIFIED if notes else ''}")
    return "\n".join(lines) + "\n"


def render_evidence_shown(note: EvidenceNote, statement: object | None) -> str:
    """Return what one is and, of an attestation, its statement; ends in a newline."""
    lines = [
        f"evidence   sha256:{note.sha256}",
        f"kind       {_describe(note)}",
        f"added      {show(note.added_at)} from {show(note.source)}",
        "verified   no: `policyd verify` says what holds",
    ]
    if statement is not None:
        lines += [show(line) for line in json.dumps(statement, indent=2, ensure_ascii=False).splitlines()]
    return "\n".join(lines) + "\n"


def _describe(note: EvidenceNote) -> str:
    what = note.predicate_type if note.predicate_type is not None else "signature of a file"
    of = f" of {note.first_subject}" if note.first_subject else ""
    more = f" and {note.subjects - 1} more" if note.subjects > 1 else ""
    return show(f"{what}{of}{more}")
