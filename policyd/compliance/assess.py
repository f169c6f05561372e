"""Concludes from evidence where each control stands. The worst that was found wins, and silence is never `met`.

1. anything speaks against the control, or a control it includes is not met      → not met
2. something required was not there to look at, or could not be judged           → not tested
3. nothing at all can make this control met (policyd does not see it)            → not tested
4. what speaks against it is waived, by a waiver with a name                     → waived
5. everything required was looked at and holds                                   → met
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from policyd.compliance.evidence import ControlRule, DecisionMade, Material, find_evidence
from policyd.compliance.models import (
    Control,
    ControlStatus,
    Evidence,
    EvidenceKind,
    Framework,
    FrameworkStatus,
    RunEvidence,
    Speaks,
    Status,
    UnreadablePipeline,
)

_MISSING = {
    EvidenceKind.RULES: "no pipeline was judged by a rule for this control",
    EvidenceKind.SIGNED_DECISION: "no finished run was there to look for signed decisions",
    EvidenceKind.MANIFEST: "no finished run was there to look for a manifest",
    EvidenceKind.PROVENANCE: "no run that left products was there to look for provenance",
    EvidenceKind.SUMMARY: "no run was released, so there is no verification summary",
    EvidenceKind.SANDBOXED_STAGES: "no run was there whose stages could have been isolated",
    EvidenceKind.SEPARATE_SIGNER: "no run was there whose signing could be looked at",
    EvidenceKind.HOSTED_BUILDER: "no finished run was there whose builder could be looked at",
    EvidenceKind.HARDENED_BUILDER: "no finished run was there whose builder could be looked at",
    EvidenceKind.RECORD_VERIFIED: "no run was there whose record could be verified",
}
_CONTROL_SPEAKS = {
    Status.MET: Speaks.FOR,
    Status.WAIVED: Speaks.WAIVED,
    Status.NOT_TESTED: Speaks.UNDECIDED,
    Status.NOT_MET: Speaks.AGAINST,
}


def assess(
    framework: Framework,
    *,
    rules: Iterable[ControlRule],
    decisions: Sequence[DecisionMade],
    runs: Sequence[RunEvidence],
    unreadable: Sequence[UnreadablePipeline] = (),
) -> FrameworkStatus:
    """Return where every control of `framework` stands. `rules` is the catalogue of the policy set that was asked.

    `decisions` already weigh waivers (`Effect.WAIVED` names one). `unreadable` are pipelines that were found and could
    not be judged: they keep every control that rules speak to from being met.
    """
    material = Material(tuple(rules), tuple(decisions), tuple(unreadable), tuple(runs))
    done: dict[str, ControlStatus] = {}
    for control in framework.controls:
        done[control.id] = _conclude(control, material, done)
    return FrameworkStatus(
        id=framework.id,
        title=framework.title,
        version=framework.version,
        url=framework.url,
        controls=tuple(done.values()),
    )


def latest_finished(runs: Iterable[RunEvidence]) -> tuple[RunEvidence, ...]:
    """Return the newest finished run of each pipeline, by name: what is in use now, not what once was."""
    newest: dict[str, RunEvidence] = {}
    for run in runs:
        if run.state not in ("succeeded", "failed"):
            continue
        other = newest.get(run.pipeline)
        # The run id settles equal times, so that the order of `runs` does not matter.
        if other is None or (other.started_at, other.run_id) < (run.started_at, run.run_id):
            newest[run.pipeline] = run
    return tuple(newest[name] for name in sorted(newest))


def _conclude(control: Control, material: Material, done: dict[str, ControlStatus]) -> ControlStatus:
    found = {kind: find_evidence(kind, control.id, material) for kind in (*control.requires, *control.also)}
    evidence = [_included(done[id_]) for id_ in control.includes]
    evidence += [piece for pieces in found.values() for piece in pieces]
    missing = [_MISSING[kind] for kind in control.requires if not _weighs(found[kind])]
    by_speaks = {speaks: [piece for piece in evidence if piece.speaks is speaks] for speaks in Speaks}

    # 1. Known to be broken, whatever else is unknown.
    if by_speaks[Speaks.AGAINST]:
        return _status(control, Status.NOT_MET, _words(by_speaks[Speaks.AGAINST]), evidence)
    # 2. Required and not seen, or seen and not judged.
    if missing or by_speaks[Speaks.UNDECIDED]:
        return _status(control, Status.NOT_TESTED, [*missing, *_words(by_speaks[Speaks.UNDECIDED])], evidence)
    # 3. Nothing that policyd sees could fulfil it.
    if not control.requires and not control.includes:
        return _status(control, Status.NOT_TESTED, [control.not_covered], evidence)
    # 4.
    if by_speaks[Speaks.WAIVED]:
        return _status(control, Status.WAIVED, _words(by_speaks[Speaks.WAIVED]), evidence)
    # 5.
    return _status(control, Status.MET, [], evidence)


def _weighs(pieces: Sequence[Evidence]) -> bool:
    return any(piece.speaks is not Speaks.NOTE for piece in pieces)


def _included(status: ControlStatus) -> Evidence:
    text = f"{status.control.title}: {status.status.value.replace('_', ' ')}"
    return Evidence(kind="control", speaks=_CONTROL_SPEAKS[status.status], subject=status.control.id, text=text)


def _words(pieces: Sequence[Evidence]) -> list[str]:
    """Return each piece as a reason, equal ones once."""
    return list(dict.fromkeys(f"{piece.about}: {piece.text}" for piece in pieces))


def _status(control: Control, status: Status, reasons: Sequence[str], evidence: Sequence[Evidence]) -> ControlStatus:
    return ControlStatus(control=control, status=status, reasons=tuple(reasons), evidence=tuple(evidence))
