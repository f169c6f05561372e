"""What waivers change about a decision: the one place where a denial becomes `waived`.

A waiver lifts one violation and no other: it was verified, it is for this rule, message, file and part (or artifact),
and the violation is of level `soft`. Ten copies of a line need ten waivers. Everything else that was there is said in
the decision's notes, so that nobody wonders why a waiver had no effect, and no dead one lies about unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from policyd.attestation.waivers import VerifiedWaiver
from policyd.models.base import rfc3339
from policyd.models.decision import Decision, Effect, Gate, Level, Verdict, Violation, WaiverNote, WaiverState
from policyd.models.waiver import Site, Waiver
from policyd.policy.parts import holds_part

SOON = timedelta(days=14)  # long enough to ask somebody for another one


@dataclass(frozen=True, slots=True)
class KnownWaivers:
    """The waivers that were there at one moment: those that count, and the others with the reason."""

    verified: tuple[VerifiedWaiver, ...] = ()
    others: tuple[tuple[Waiver | None, WaiverNote], ...] = ()  # None where not even the waiver can be read
    gone: frozenset[str] = frozenset()  # files that waivers name and that are not there

    def __bool__(self) -> bool:
        """True where there is any, counting or not."""
        return bool(self.verified or self.others)


def waive(
    decision: Decision,
    known: KnownWaivers,
    *,
    site: Site,
    rules: Collection[str],
    document: Callable[[], object],
    now: datetime,
) -> Decision:
    """Return `decision` with what `known` waivers lift lifted, and a note for each that this decision should speak of.

    `rules` are all of the policy set, `document` is the input that was judged, read only where it is needed. Problems
    stay problems: an `undecided` decision is not changed to anything else.
    """
    if not known:
        return decision

    # 1. Each violation to at most one waiver and each waiver to at most one violation; the same position goes first.
    found = _match(decision.violations, known.verified, site)

    # 2. Only what denies can be lifted, and nothing of a hard rule.
    lifted = {
        index: verified
        for index, verified in found.items()
        if decision.violations[index].effect is Effect.DENY and decision.violations[index].level is Level.SOFT
    }
    violations = tuple(
        violation.model_copy(update={"effect": Effect.WAIVED, "waiver": lifted[index].sha256})
        if index in lifted
        else violation
        for index, violation in enumerate(decision.violations)
    )

    # 3. A denial without anything left that denies is an approval; doubt and silence stay what they are.
    verdict = decision.verdict
    if lifted and verdict is Verdict.DENY and not any(violation.effect is Effect.DENY for violation in violations):
        verdict = Verdict.ALLOW

    # 4. What became of every waiver that is about this.
    matched = {verified.sha256: decision.violations[index] for index, verified in found.items()}
    used = {verified.sha256 for verified in lifted.values()}
    notes = [note for waiver, note in known.others if concerns(waiver, site, known.gone)]
    for verified in known.verified:
        if verified.sha256 in used:
            notes.append(describe(verified, WaiverState.USED, "", now=now))
        elif concerns(verified.waiver, site, known.gone):
            state, why = _explain(verified.waiver, matched.get(verified.sha256), known, site, rules, document)
            notes.append(describe(verified, state, why, now=now))
    return decision.model_copy(
        update={
            "verdict": verdict,
            "violations": violations,
            "waivers": tuple(sorted(notes, key=lambda note: (note.source, note.sha256 or ""))),
        }
    )


def concerns(waiver: Waiver | None, site: Site, gone: Collection[str]) -> bool:
    """Say whether a decision at `site` should speak of a waiver.

    Of one that can't be read, or is about a file that is `gone`, no decision would: those of pipelines do.
    """
    if waiver is None or waiver.file in gone:
        return site.gate is Gate.PIPELINE
    return waiver.is_about(site)


def describe(verified: VerifiedWaiver, state: WaiverState, why: str, *, now: datetime) -> WaiverNote:
    """Return the note of a waiver that counts."""
    waiver = verified.waiver
    return WaiverNote(
        state=state,
        source=verified.source,
        sha256=verified.sha256,
        evidence_sha256=verified.evidence_sha256,
        rule=waiver.rule,
        why=why,
        reason=waiver.reason,
        requested_by=tuple(sorted(verified.requested_by)),
        approved_by=tuple(sorted(verified.approved_by)),
        expires_at=rfc3339(waiver.expires_at),
        expires_soon=waiver.expires_at - now <= SOON,
    )


def _match(
    violations: Sequence[Violation], verified: Sequence[VerifiedWaiver], site: Site
) -> dict[int, VerifiedWaiver]:
    found: dict[int, VerifiedWaiver] = {}
    taken: set[str] = set()
    for same_position in (True, False):
        for one in verified:
            if one.sha256 in taken:
                continue
            for index, violation in enumerate(violations):
                if index in found or (same_position and one.waiver.at != violation.at):
                    continue
                if one.waiver.covers(violation, site):
                    found[index] = one
                    taken.add(one.sha256)
                    break
    return found


def _explain(
    waiver: Waiver,
    violation: Violation | None,
    known: KnownWaivers,
    site: Site,
    rules: Collection[str],
    document: Callable[[], object],
) -> tuple[WaiverState, str]:
    """Return what became of a waiver that counts and lifted nothing. `violation` is the one that it covers, if any."""
    if violation is not None and violation.level is Level.HARD:
        return WaiverState.IGNORED, f"{waiver.rule} is a hard rule here: no waiver lifts it"
    if violation is not None:
        return WaiverState.UNUSED, f"{waiver.rule} only warns here: nothing needs to be lifted"
    if waiver.rule not in rules:
        return WaiverState.ORPHANED, f"there is no rule {waiver.rule} any more"
    if waiver.file in known.gone:
        return WaiverState.ORPHANED, f"{waiver.file} is not there any more"
    if waiver.target is not None and site.targets != {waiver.target}:
        targets = ", ".join(sorted(site.targets)) or "no target"
        return WaiverState.UNUSED, f"it is for the target {waiver.target}, and this goes to {targets}"
    if waiver.part_sha256 is not None and not holds_part(document(), waiver.at, waiver.part_sha256):
        return WaiverState.ORPHANED, "the part that it was given for has changed or is gone"
    return WaiverState.UNUSED, "nothing here breaks the rule in the way that it permits, or another waiver covers it"
