"""What rules and runs say of a control, before anything is concluded.

Each function here looks at one kind of evidence and returns every piece of it, for, against or undecided. No piece at
all means that there was nothing to look at, which is never the same as a piece that speaks for the control.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from policyd.compliance.models import Evidence, EvidenceKind, RunEvidence, Speaks, UnreadablePipeline
from policyd.models.decision import Decision, Effect, Gate, Problem, Severity, Verdict, Violation


class ControlRule(Protocol):
    """What the catalogue says of a rule, as far as controls are concerned."""

    @property
    def id(self) -> str:
        """`<family>.<rule>`"""

    @property
    def gate(self) -> Gate:
        """Where the rule is asked."""

    @property
    def controls(self) -> Sequence[str]:
        """The ids of the controls it serves."""

    @property
    def applies_to(self) -> Sequence[str]:
        """The dialects of the pipelines it can judge."""


@dataclass(frozen=True, slots=True)
class DecisionMade:
    """A decision that the caller made or verified, with the dialect of the pipeline judged, where it was one."""

    decision: Decision
    dialect: str | None = None


@dataclass(frozen=True, slots=True)
class Material:
    """Everything an audit may look at."""

    rules: tuple[ControlRule, ...]
    decisions: tuple[DecisionMade, ...]
    unreadable: tuple[UnreadablePipeline, ...]
    runs: tuple[RunEvidence, ...]


def find_evidence(kind: EvidenceKind, control_id: str, material: Material) -> list[Evidence]:
    """Return every piece of evidence of `kind` for the control; an empty list where there was nothing to look at."""
    if kind is EvidenceKind.RULES:
        return _rule_evidence(control_id, material)
    look = _RUN_EVIDENCE[kind]
    found = []
    for run in material.runs:
        if (answer := _distrust(kind, run) or look(run)) is not None:
            speaks, text = answer
            found.append(Evidence(kind=kind, speaks=speaks, subject=run.run_id, text=text, sha256=run.manifest_sha256))
    return found


def _rule_evidence(control_id: str, material: Material) -> list[Evidence]:
    """Look at every decision of a gate that has rules for this control.

    Each such decision has to have been asked at least one of them: a pipeline that was judged by other rules only was
    not looked at for this control, and neither was one that could not be read. A pipeline in a dialect that none of
    the rules can judge is left out: it needs another pipeline to make the control met.
    """
    rules = [rule for rule in material.rules if control_id in rule.controls]
    found = [evidence for made in material.decisions for evidence in _decision_evidence(made, rules)]
    if any(rule.gate is Gate.PIPELINE for rule in rules):
        found += [
            _rules_say(Speaks.UNDECIDED, file.path, f"could not be read: {file.cause}") for file in material.unreadable
        ]
    return found


def _decision_evidence(made: DecisionMade, for_control: Sequence[ControlRule]) -> list[Evidence]:
    decision = made.decision
    of_gate = [rule for rule in for_control if rule.gate is decision.gate]
    if not of_gate:
        return []
    rules = {rule.id for rule in of_gate if made.dialect is None or made.dialect in rule.applies_to}
    if not rules:
        text = f"none of the {len(of_gate)} rules for this control judges pipelines of this kind ({made.dialect})"
        return [_rules_say(Speaks.NOTE, decision.subject, text, decision)]
    asked = sorted(rules & set(decision.rules))
    violations = [violation for violation in decision.violations if violation.rule in rules]
    problems = [problem for problem in decision.problems if problem.rule is None or problem.rule in rules]
    found = [_violation_evidence(decision, violation) for violation in violations]
    found += [_problem_evidence(decision, problem) for problem in problems]
    if not asked:
        text = f"none of the {len(rules)} rules for this control was asked"
        return [*found, _rules_say(Speaks.UNDECIDED, decision.subject, text, decision)]
    # An undecided or unevaluated decision that names no reason is still no pass.
    if decision.verdict in (Verdict.UNDECIDED, Verdict.NOT_EVALUATED) and not decision.problems:
        found.append(_rules_say(Speaks.UNDECIDED, decision.subject, f"the decision is {decision.verdict}", decision))
    found += [_rules_say(Speaks.NOTE, decision.subject, f"weakened: {words}", decision) for words in decision.weakened]
    if not any(evidence.speaks is not Speaks.NOTE for evidence in found):
        text = f"{len(asked)} of {len(rules)} rules asked, none broken: {', '.join(asked)}"
        found.append(_rules_say(Speaks.FOR, decision.subject, text, decision))
    return found


def _violation_evidence(decision: Decision, violation: Violation) -> Evidence:
    speaks = _weight(violation)
    text = f"{violation.rule} ({violation.effect}, {violation.severity}): {violation.message}"
    if speaks is Speaks.WAIVED:
        text += f" [waiver {violation.waiver}]"
    evidence = _rules_say(speaks, decision.subject, text, decision)
    if violation.place is None:
        return evidence
    place = f"{violation.place.file}:{violation.place.line}:{violation.place.column}"
    return evidence.model_copy(update={"place": place})


def _weight(violation: Violation) -> Speaks:
    """Say how a violation speaks of a control.

    A warning counts as much as a denial: an audit says what *is*, and neither an advisory level nor a date from which a
    rule blocks makes the weakness less there. Severity `info` alone weighs nothing: such rules advise on style.
    A waived violation whose waiver has no name was permitted by nobody.
    """
    if violation.effect is Effect.WAIVED:
        return Speaks.WAIVED if violation.waiver else Speaks.AGAINST
    if violation.effect is Effect.WARN and violation.severity is Severity.INFO:
        return Speaks.NOTE
    return Speaks.AGAINST


def _problem_evidence(decision: Decision, problem: Problem) -> Evidence:
    rule = f"{problem.rule} " if problem.rule else ""
    return _rules_say(Speaks.UNDECIDED, decision.subject, f"{rule}could not be judged: {problem.message}", decision)


def _rules_say(speaks: Speaks, subject: str, text: str, decision: Decision | None = None) -> Evidence:
    sha256 = None if decision is None else decision.input_sha256
    return Evidence(kind=EvidenceKind.RULES, speaks=speaks, subject=subject, text=text, sha256=sha256)


_Answer = tuple[Speaks, str] | None


def _says(holds: bool, good: str, bad: str) -> tuple[Speaks, str]:
    return (Speaks.FOR, good) if holds else (Speaks.AGAINST, bad)


def _distrust(kind: EvidenceKind, run: RunEvidence) -> _Answer:
    """Numbers and names of a run come from its manifest: where that does not verify, they say nothing."""
    if kind in _STANDS_ALONE or run.manifest_verified or not _finished(run):
        return None
    return Speaks.UNDECIDED, "the run has no manifest that verifies, so nothing else in it counts"


def _finished(run: RunEvidence) -> bool:
    """A run without an end has no manifest to look at, and releases nothing."""
    return run.state in ("succeeded", "failed")


def _manifest(run: RunEvidence) -> _Answer:
    if not _finished(run):
        return None
    return _says(
        run.manifest_verified,
        "the run manifest is signed by the builder and lists everything the run made",
        "the run has no manifest signed by the builder",
    )


def _signed_decision(run: RunEvidence) -> _Answer:
    if not _finished(run):
        return None
    listed, verified = run.decisions_listed, run.decisions_verified
    # A finished run that lists no decision ran without one.
    return _says(
        run.manifest_verified and listed > 0 and verified == listed,
        f"all {listed} decisions of the run are signed by the decider",
        f"{verified} of the {listed} decisions that the run lists are there and signed by the decider",
    )


def _provenance(run: RunEvidence) -> _Answer:
    if not _finished(run) or run.products == 0:
        return None
    return _says(
        run.products_with_provenance == run.products,
        f"all {run.products} products have SLSA provenance that verifies",
        f"{run.products_with_provenance} of {run.products} products have SLSA provenance that verifies",
    )


def _summary(run: RunEvidence) -> _Answer:
    # A run without release is no failed release.
    if run.state != "succeeded" or run.summaries_verified == 0:
        return None
    return Speaks.FOR, f"{run.summaries_verified} signed verification summaries were released with the evidence"


def _sandboxed(run: RunEvidence) -> _Answer:
    if not _finished(run) or run.stages_run == 0:
        return None
    modes = sorted(run.sandbox_modes)
    return _says(
        bool(modes) and all(mode == "bwrap" for mode in modes),
        f"all {run.stages_run} stages that ran were isolated ({', '.join(modes)})",
        f"stages ran with isolation: {', '.join(modes) or 'not recorded'}",
    )


def _separate_signer(run: RunEvidence) -> _Answer:
    """The runner signs outside the sandbox; without one, a stage may read whatever its user may."""
    if not _finished(run) or run.stages_run == 0:
        return None
    isolated = bool(run.sandbox_modes) and all(mode == "bwrap" for mode in run.sandbox_modes)
    return _says(
        isolated and run.governance == "operator",
        "provenance was made and signed by the runner, outside the sandbox of every stage",
        "a stage could reach the signing key: "
        + ("stages were not isolated" if not isolated else "there were no operator settings to hold keys apart"),
    )


def _hosted(run: RunEvidence) -> _Answer:
    return _builder(run, 2, "a hosted build platform")


def _hardened(run: RunEvidence) -> _Answer:
    return _builder(run, 3, "a hardened build platform")


def _builder(run: RunEvidence, level: int, what: str) -> _Answer:
    if not _finished(run):
        return None
    # Whatever the trust policy grants: a builder that says of itself that it is local is somebody's machine.
    if "local" in run.builder_id.split("/"):
        return Speaks.AGAINST, f"the run was built locally ({run.builder_id}), not by {what}"
    return _says(
        run.governance == "operator" and run.builder_max_level >= level,
        f"the trust policy vouches for {run.builder_id} up to SLSA Build L{run.builder_max_level}",
        f"the trust policy vouches for {run.builder_id} only up to SLSA Build L{run.builder_max_level}",
    )


def _record(run: RunEvidence) -> _Answer:
    if run.record_verified is None:
        return None
    return _says(
        run.record_verified,
        "the append-only record holds every event of the run and agrees with its checkpoints",
        "the append-only record does not agree with itself or with a checkpoint",
    )


#: Evidence that speaks even where the manifest does not verify.
_STANDS_ALONE = frozenset((EvidenceKind.MANIFEST, EvidenceKind.SIGNED_DECISION, EvidenceKind.RECORD_VERIFIED))
_RUN_EVIDENCE: dict[EvidenceKind, Callable[[RunEvidence], _Answer]] = {
    EvidenceKind.SIGNED_DECISION: _signed_decision,
    EvidenceKind.MANIFEST: _manifest,
    EvidenceKind.PROVENANCE: _provenance,
    EvidenceKind.SUMMARY: _summary,
    EvidenceKind.SANDBOXED_STAGES: _sandboxed,
    EvidenceKind.SEPARATE_SIGNER: _separate_signer,
    EvidenceKind.HOSTED_BUILDER: _hosted,
    EvidenceKind.HARDENED_BUILDER: _hardened,
    EvidenceKind.RECORD_VERIFIED: _record,
}
