"""What a check found, as every renderer takes it: decisions with the bytes they judged, and files nobody could read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from policyd.errors import PolicydError
from policyd.models.baseline import KnownViolation
from policyd.models.decision import Decision, Effect, Problem, Severity, Verdict, Violation


class RuleText(Protocol):
    """What reports say about a rule: the part of the catalogue's entry they need."""

    @property
    def id(self) -> str:
        """`<family>.<rule>`"""

    @property
    def title(self) -> str:
        """What holds where the rule is kept."""

    @property
    def description(self) -> str:
        """Why it matters."""

    @property
    def severity(self) -> Severity:
        """How bad it is where it is not kept."""

    @property
    def confidence(self) -> str:
        """How often what it finds is so: `high`, `medium` or `low`."""

    @property
    def remediation(self) -> str:
        """What to do."""

    @property
    def controls(self) -> Sequence[str]:
        """The outside requirements it serves."""


Rules = Mapping[str, RuleText]


@dataclass(frozen=True, slots=True)
class Judged:
    """One decision, the path of what it judged, and the very bytes, from which excerpts are cut.

    `known` are those of its violations, by index, that a baseline knows; `ignored` those that a comment in the file
    lifts, with its reason; `notes` is what is to be said of such comments. The decision stays what a gate would say.
    """

    path: str
    decision: Decision
    content: bytes = b""
    known: frozenset[int] = frozenset()
    ignored: Mapping[int, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The decision's verdict, or `allow` where it denies for nothing but what is known or ignored."""
        if self.decision.verdict is not Verdict.DENY:
            return self.decision.verdict
        denying = {index for index, found in enumerate(self.decision.violations) if found.effect is Effect.DENY}
        return Verdict.ALLOW if denying and denying <= self.known | self.ignored.keys() else Verdict.DENY

    def with_only(self, wanted: Sequence[int]) -> Judged:
        """Return the same with those of the violations, by index, for a reader who needs no others."""
        if len(wanted) == len(self.decision.violations):
            return self
        violations = tuple(self.decision.violations[index] for index in wanted)
        return replace(
            self,
            decision=self.decision.model_copy(update={"violations": violations}),
            known=frozenset(new for new, old in enumerate(wanted) if old in self.known),
            ignored={new: self.ignored[old] for new, old in enumerate(wanted) if old in self.ignored},
        )

    def lifted(self, index: int) -> str:
        """Return why the violation at `index` does not stand: waived, known or ignored; empty where it stands."""
        violation = self.decision.violations[index]
        # A waived violation without the waiver's name stands: nobody can say who permitted it.
        if violation.effect is Effect.WAIVED and violation.waiver:
            return f"waived by {violation.waiver}"
        if index in self.known:
            return "known: in the baseline"
        return f"ignored in the file: {self.ignored[index]}" if index in self.ignored else ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that was found or named and could not be judged at all."""

    path: str
    cause: str
    where: str
    fix: str

    @classmethod
    def of(cls, path: str, error: PolicydError) -> Unreadable:
        """Return what `error` says about `path`."""
        return cls(path, error.cause, error.where, error.fix)


def doubt_words(doubt: Problem | Unreadable) -> str:
    """Return why something could not be judged, where that is, and what to do, as one text."""
    text = doubt.message if isinstance(doubt, Problem) else doubt.cause
    text = f"{text} ({doubt.where})" if doubt.where else text
    return f"{text} To do: {doubt.fix}" if doubt.fix else text


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything one check looked at.

    `gone` are the baseline's entries that match nothing; None without a baseline. `hidden` is how many warnings a
    report leaves out for its reader.
    """

    judged: tuple[Judged, ...]
    unreadable: tuple[Unreadable, ...] = ()
    gone: tuple[KnownViolation, ...] | None = None
    hidden: int = 0

    @property
    def verdict(self) -> Verdict:
        """The worst verdict, in the order of the exit codes (`policyd.errors.EXIT_PRECEDENCE`).

        One file that could not be read makes the whole `undecided`; with nothing judged at all it is `not_evaluated`.
        """
        if self.unreadable:
            return Verdict.UNDECIDED
        found = {judged.verdict for judged in self.judged}
        order = (Verdict.UNDECIDED, Verdict.DENY, Verdict.NOT_EVALUATED, Verdict.ALLOW)
        return next((verdict for verdict in order if verdict in found), Verdict.NOT_EVALUATED)

    def violations(self) -> Iterable[Violation]:
        """Return the violations of every decision, in the order judged."""
        return (violation for judged in self.judged for violation in judged.decision.violations)


def told_once(findings: Findings) -> Findings:
    """Return `findings` without what was said already: one rule, place and message, met by way of several files.

    A template is judged by itself and in every file that it is put into. The decisions stay whole; this is for readers.
    """
    told: set[tuple[object, ...]] = set()
    judged: list[Judged] = []
    for one in findings.judged:
        new: list[int] = []
        for index, found in enumerate(one.decision.violations):
            said = (found.rule, found.place, found.message, found.effect, one.lifted(index))
            if found.place is None or said not in told:
                new.append(index)
            told.add(said)
        fewer = one.with_only(new)
        # What is left of a denial may all be known; it is a denial still.
        judged.append(fewer if fewer.verdict is one.verdict else one)
    return replace(findings, judged=tuple(judged))


SEVERITIES = (Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW, Severity.INFO)
