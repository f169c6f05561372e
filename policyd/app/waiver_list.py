"""`policyd waiver list` and `check`: every waiver of a project with its state, as a gate would see it now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from policyd.adapters.settings import Authority, find_authority
from policyd.app.projects import find_root
from policyd.app.waiver_places import judge_file
from policyd.app.waivers import load_waivers
from policyd.attestation.waivers import find_approvers, verify_requester
from policyd.errors import ExitCode, PolicydError
from policyd.models.decision import Gate, WaiverNote, WaiverState
from policyd.models.waiver import Waiver
from policyd.policy.waiver_book import WaiverBook
from policyd.policy.waivers import describe


@dataclass(frozen=True, slots=True)
class ListedWaiver:
    """A waiver, or a file among waivers that is none, with its state."""

    note: WaiverNote
    waiver: Waiver | None


@dataclass(frozen=True, slots=True)
class Listed:
    """All waivers of a project. `governance` is `self` where there are no operator settings, and then none counts."""

    waivers: tuple[ListedWaiver, ...]
    governance: str

    @property
    def exit_code(self) -> ExitCode:
        """1 if one is invalid: it is not what somebody granted. Those that are over are only reported."""
        invalid = any(listed.note.state is WaiverState.INVALID for listed in self.waivers)
        return ExitCode.REFUSED if invalid else ExitCode.OK

    def to_json(self) -> dict[str, object]:
        """Return the list as `--format json` prints it."""
        return {
            "schema": "policyd.waivers/v1",
            "governance": self.governance,
            "exit_code": int(self.exit_code),
            "waivers": [
                {
                    **listed.note.model_dump(mode="json", exclude_none=True),
                    "waiver": listed.waiver.model_dump(mode="json", exclude_none=True) if listed.waiver else None,
                }
                for listed in self.waivers
            ],
        }


def list_waivers(*, settings: Path | None, engine: str | None, now: datetime) -> Listed:
    """Return every waiver of the current project, sorted by file.

    The pipelines that they are for are judged, which tells those that are in use from those that nothing needs.
    """
    root = find_root(Path("."))
    authority = find_authority(settings, repository=root)
    book = load_waivers(root, authority)
    waivers = {read.source: read.waiver for read in book.waivers}
    listed = {note.source: note for note in _judged_notes(book, root, authority, engine=engine, now=now)}
    known = book.as_of(now)
    for verified in known.verified:
        listed.setdefault(verified.source, describe(verified, WaiverState.VALID, "", now=now))
    for _, note in known.others:
        # What can't be read is said by its file, once.
        listed[note.source] = note
    return Listed(
        tuple(ListedWaiver(_with_persons(listed[source], book, now), waivers.get(source)) for source in sorted(listed)),
        "operator" if authority else "self",
    )


def _judged_notes(
    book: WaiverBook, root: Path, authority: Authority | None, *, engine: str | None, now: datetime
) -> list[WaiverNote]:
    """Return what decisions about the files that waivers are for say of them."""
    known = book.as_of(now)
    files = {one.waiver.file for one in known.verified if one.waiver.gate is Gate.PIPELINE and one.waiver.file}
    notes: list[WaiverNote] = [
        describe(one, WaiverState.ORPHANED, f"{one.waiver.file} is not there any more", now=now)
        for one in known.verified
        if one.waiver.file in book.gone
    ]
    for file in sorted(files - book.gone):
        try:
            notes += judge_file(root, file, authority, engine=engine, now=now).judged.decision.waivers
        except PolicydError as error:
            notes += [
                describe(one, WaiverState.ORPHANED, f"{file} can't be judged: {error.cause}", now=now)
                for one in known.verified
                if one.waiver.file == file
            ]
    return notes


def _with_persons(note: WaiverNote, book: WaiverBook, now: datetime) -> WaiverNote:
    """Return the note of a waiver that does not count yet with who has signed it so far, as far as that verifies."""
    read = next((one for one in book.waivers if one.source == note.source), None)
    if read is None or book.terms is None or note.requested_by:
        return note
    try:
        requesters = verify_requester(read, book.terms, now=now).signers
    except PolicydError:
        return note
    approved_by = find_approvers(read, book.terms.trust, now=now) - requesters
    return note.model_copy(
        update={"requested_by": tuple(sorted(requesters)), "approved_by": tuple(sorted(approved_by))}
    )
