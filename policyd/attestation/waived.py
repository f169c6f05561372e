"""Waived violations in signed decisions: each rests on a waiver that counted at the moment of the decision.

The decider's signature says that a rule was waived; it does not say by whom. So whoever relies on the decision looks at
the waiver too. What was granted later, or had expired, counts for nothing; what was revoked since counts no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from policyd.attestation.moments import read_moment
from policyd.attestation.waivers import ReadWaiver, WaiverTerms, read_waiver_file, verify_waiver
from policyd.errors import DocumentError, SubjectMismatch, VerificationFailed
from policyd.models.base import Sha256
from policyd.models.decision import Decision, Effect, Level
from policyd.models.plan import Plan
from policyd.models.waiver import Site


def verify_waived(
    decisions: Iterable[Decision],
    files: Mapping[Sha256, bytes],
    terms: WaiverTerms,
    *,
    plan: Plan,
    finished_at: str,
) -> tuple[ReadWaiver, ...]:
    """Return the waivers in `files` (what a manifest lists) if all that `decisions` of this plan waive rests on them.

    Raises `WaiverUnusable` for one that did not count at its time, `SubjectMismatch` for one of something else.
    """
    # 1. What is listed is a waiver, each once.
    listed = [_read(content, sha256) for sha256, content in files.items()]
    by_name = {read.sha256: read for read in listed}
    if len(by_name) != len(listed):
        raise _refused("the same waiver is listed twice", "run manifest")

    # 2. Every waived violation has one of its own, which counted when it was waived and is for exactly that.
    targets = frozenset(stage.target for stage in plan.stages if stage.target is not None)
    used: set[Sha256] = set()
    for decision in decisions:
        where = f"{decision.gate} decision about {decision.subject}"
        site = Site.of(decision, file=plan.pipeline_path, targets=targets)
        here: set[Sha256] = set()
        for violation in decision.violations:
            if violation.effect is not Effect.WAIVED:
                continue
            read = by_name.get(violation.waiver or "")
            if read is None:
                raise _refused(f"{violation.rule} is waived by a waiver that the manifest does not list", where)
            if violation.level is not Level.SOFT:
                raise _refused(f"{violation.rule} is waived at level {violation.level}", where)
            verified = verify_waiver(read, terms, now=read_moment(decision.decided_at, where=where))
            if verified.sha256 in here or not verified.waiver.covers(violation, site):
                raise SubjectMismatch(
                    f"the waiver {read.sha256} is not for this violation of {violation.rule}",
                    where=where,
                    fix="find out why a decision names a waiver of something else",
                )
            here.add(verified.sha256)
        used |= here

    # 3. The others are for the release gate, which judges them anew; they counted when the run ended.
    for read in listed:
        if read.sha256 not in used:
            verify_waiver(read, terms, now=read_moment(finished_at, where="run manifest"))
    return tuple(listed)


def describe_waived(decision: Decision) -> str:
    """Return `; waived: a.b by bob until 2027-01-01 (waiver 0123…)` for what the decision waives; empty for nothing."""
    notes = {note.sha256: note for note in decision.waivers}
    said = []
    for violation in decision.violations:
        if violation.effect is not Effect.WAIVED:
            continue
        note = notes.get(violation.waiver)
        by = "" if note is None else f" by {', '.join(note.approved_by)} until {(note.expires_at or '')[:10]}"
        said.append(f"{violation.rule}{by} (waiver {(violation.waiver or '')[:12]})")
    return f"; waived: {'; '.join(said)}" if said else ""


def _read(content: bytes, sha256: Sha256) -> ReadWaiver:
    where = f"waiver sha256:{sha256}"
    try:
        read = read_waiver_file(content, where=where)
    except DocumentError as error:
        # Found and listed, and no waiver: refused, not a file the user named.
        raise VerificationFailed(error.cause, where=error.where, fix=error.fix) from error
    if not isinstance(read, ReadWaiver):
        raise _refused("this is a revocation, listed as a waiver", where)
    return read


def _refused(cause: str, where: str) -> VerificationFailed:
    return VerificationFailed(cause, where=where, fix="run the pipeline again: only waivers that are evidence count")
