"""Who reads: what a report leaves out for whom. Never what was evaluated, and never what denies.

A regular reader wants what to act on, a pedantic one also what is small, an auditor everything.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from policyd.models.decision import Effect, Severity, Violation
from policyd.report.findings import Findings, Judged


class Persona(StrEnum):
    """Who reads a report."""

    REGULAR = "regular"
    PEDANTIC = "pedantic"
    AUDITOR = "auditor"


def shown_to(findings: Findings, persona: Persona) -> Findings:
    """Return `findings` without the warnings that `persona` does not want, and with their number in `hidden`."""
    judged = tuple(_shown(one, persona) for one in findings.judged)
    hidden = sum(
        len(before.decision.violations) - len(after.decision.violations)
        for before, after in zip(findings.judged, judged, strict=True)
    )
    return replace(findings, judged=judged, hidden=hidden)


def _shown(judged: Judged, persona: Persona) -> Judged:
    wanted = [
        index
        for index, violation in enumerate(judged.decision.violations)
        if violation.effect is not Effect.WARN or _wants(violation, persona)
    ]
    return judged.with_only(wanted)


def _wants(violation: Violation, persona: Persona) -> bool:
    match persona:
        case Persona.AUDITOR:
            return True
        case Persona.PEDANTIC:
            return violation.confidence != "low"
        case Persona.REGULAR:
            small = violation.severity is Severity.INFO
            return not small and violation.confidence != "low"
