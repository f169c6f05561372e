"""All waivers a gate was given, verified anew at the moment of each decision: a run may outlast a waiver or a key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from policyd.attestation.waivers import ReadWaiver, VerifiedWaiver, WaiverTerms, verify_waiver
from policyd.errors import PolicydError, WaiverUnusable
from policyd.models.base import Sha256, rfc3339
from policyd.models.canonical import sha256_hex
from policyd.models.decision import WaiverNote, WaiverState
from policyd.models.waiver import Site, Waiver
from policyd.policy.waivers import SOON, KnownWaivers, concerns


@dataclass(frozen=True, slots=True)
class WaiverBook:
    """Waivers as they were found, and under what they count."""

    waivers: tuple[ReadWaiver, ...] = ()
    unreadable: tuple[WaiverNote, ...] = ()
    terms: WaiverTerms | None = None  # None where there are no operator settings: then nothing counts
    gone: frozenset[str] = frozenset()  # files that waivers name and that are not there
    files: Mapping[Sha256, bytes] | None = None  # every file that was read, revocations too

    def as_of(self, now: datetime, site: Site | None = None) -> KnownWaivers:
        """Return which waivers count at `now`, and why the others don't; with `site`, those that it should hear of."""
        verified: dict[Sha256, VerifiedWaiver] = {}
        others: list[tuple[Waiver | None, WaiverNote]] = [(None, note) for note in self.unreadable]
        for read in self.waivers:
            if site is not None and not concerns(read.waiver, site, self.gone):
                continue
            try:
                found = self._verify(read, now)
            except PolicydError as error:
                others.append((read.waiver, note_unusable(read, error, now)))
                continue
            # One permission in two files is still one: else each copy would lift another copy of the line.
            if found.sha256 in verified:
                others.append((read.waiver, note_unusable(read, _ALREADY_THERE, now)))
            else:
                verified[found.sha256] = found
        return KnownWaivers(tuple(verified.values()), tuple(others), self.gone)

    def with_more(self, more: Iterable[ReadWaiver]) -> WaiverBook:
        """Return a book that also holds `more`."""
        known = {read.sha256 for read in self.waivers}
        return replace(self, waivers=(*self.waivers, *(read for read in more if read.sha256 not in known)))

    def _verify(self, read: ReadWaiver, now: datetime) -> VerifiedWaiver:
        if self.terms is None:
            raise WaiverUnusable(
                "there are no operator settings (governance: self), so nobody says whose approval counts",
                where=read.source,
                fix="run `policyd init` once, or name settings with --settings FILE",
                state=WaiverState.INVALID.value,
            )
        return verify_waiver(read, self.terms, now=now)


def note_unusable(read: ReadWaiver, error: PolicydError, now: datetime) -> WaiverNote:
    """Return the note of a waiver that does not count. What it says of itself is repeated, not believed."""
    state = WaiverState(error.state) if isinstance(error, WaiverUnusable) else WaiverState.INVALID
    return WaiverNote(
        state=state,
        source=read.source,
        sha256=read.sha256,
        evidence_sha256=read.evidence_sha256,
        rule=read.waiver.rule,
        why=error.cause,
        reason=read.waiver.reason,
        expires_at=rfc3339(read.waiver.expires_at),
        expires_soon=now < read.waiver.expires_at <= now + SOON,
    )


def note_unreadable(source: str, error: PolicydError, content: bytes | None) -> WaiverNote:
    """Return the note of a file that lies among waivers and is none."""
    return WaiverNote(
        state=WaiverState.INVALID,
        source=source,
        evidence_sha256=None if content is None else sha256_hex(content),
        why=error.cause,
    )


_ALREADY_THERE = WaiverUnusable(
    "the same waiver is there in another file, and counts once",
    where="waivers",
    fix="remove one of the files",
    state=WaiverState.UNUSED.value,
)
