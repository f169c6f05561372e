"""A waiver: a signed, dated permission for one part of one file, or one artifact, to break one rule.

Who asks and who grants sign the same statement; what a signature means follows from the role of its key. So nothing in
here says who approved: that is what verification finds out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from policyd.models.base import JsonPath, Model, Name, RuleId, Sha256
from policyd.models.decision import Decision, Gate, Violation

MIN_REASON = 10  # characters: a word is no reason
MAX_REASON = 2000
Reason = Annotated[str, Field(min_length=MIN_REASON, max_length=MAX_REASON)]
#: Who asked, where nobody vouches for it. Such a waiver can't be granted: nobody can be shown to be somebody else.
UNVERIFIED = "unverified"


@dataclass(frozen=True, slots=True)
class Site:
    """What a decision judged, in the words a waiver is bound by."""

    gate: Gate
    file: str = ""  # from the project's root
    stage: str | None = None
    artifact_sha256: Sha256 | None = None
    targets: frozenset[str] = frozenset()  # where what is judged may go

    @classmethod
    def of(cls, decision: Decision, *, file: str = "", targets: frozenset[str] = frozenset()) -> Site:
        """Return the site of `decision`. `targets` are the pipeline's; other gates name the one that they are for."""
        if decision.gate is not Gate.PIPELINE:
            targets = frozenset() if decision.target is None else frozenset({decision.target})
        return cls(decision.gate, file, decision.stage, decision.artifact_sha256, targets)


class Waiver(Model):
    """The predicate `waiver/v1`: what may break which rule, where, why and until when."""

    policyd: Literal["waiver/v1"] = "waiver/v1"
    gate: Gate
    rule: RuleId
    message: str  # the violation as the rule said it
    file: str | None = None  # the pipeline file, from the project's root
    stage: str | None = None  # whose start was denied, at the gate `stage`
    at: JsonPath = ()
    part_sha256: Sha256 | None = None  # of the part of the input that `at` names
    artifact: str | None = None  # what it is called, for people
    artifact_sha256: Sha256 | None = None  # at the gate `release`
    target: Name | None = None  # only where everything goes there
    reason: Reason
    requested_by: str  # a person of the trust policy, or `unverified`
    requested_at: AwareDatetime
    not_before: AwareDatetime
    expires_at: AwareDatetime

    @model_validator(mode="after")
    def _bound_and_dated(self) -> Self:
        if self.gate is Gate.RELEASE:
            if self.artifact_sha256 is None or self.file is not None or self.part_sha256 is not None:
                raise ValueError("a waiver for a release binds an artifact and nothing else")
        elif self.part_sha256 is None or not self.file or self.artifact_sha256 is not None:
            raise ValueError("a waiver for a pipeline or stage binds a file and a part of it")
        if (self.stage is not None) is not (self.gate is Gate.STAGE):
            raise ValueError("a waiver names a stage where a stage's start was denied, and only there")
        if not self.requested_at <= self.not_before < self.expires_at:
            raise ValueError("requested_at, not_before and expires_at do not follow one another")
        return self

    @property
    def bound_sha256(self) -> Sha256:
        """The digest of what it is for: a part of a file, or an artifact."""
        bound = self.artifact_sha256 if self.gate is Gate.RELEASE else self.part_sha256
        assert bound is not None  # as validated
        return bound

    @property
    def bound_name(self) -> str:
        """What it is for, by name: `pipeline.yaml`, `pipeline.yaml, stage deploy`, `app.whl`."""
        if self.gate is Gate.RELEASE:
            return self.artifact or f"sha256:{self.artifact_sha256}"
        return f"{self.file}, stage {self.stage}" if self.stage else str(self.file)

    def is_about(self, site: Site) -> bool:
        """Say whether it speaks of what was judged at `site`: the same file, stage or artifact."""
        if self.gate is not site.gate:
            return False
        if self.gate is Gate.RELEASE:
            return self.artifact_sha256 == site.artifact_sha256
        return (self.file, self.stage) == (site.file, site.stage)

    def covers(self, violation: Violation, site: Site) -> bool:
        """Say whether it is for this violation at this site. Says nothing of signatures, dates and levels.

        Names on the path have to be the same; positions in lists may differ, because a line put in above changes them.
        """
        return (
            self.is_about(site)
            and (self.target is None or site.targets == {self.target})
            and (self.rule, self.message) == (violation.rule, violation.message)
            and (self.gate is Gate.RELEASE or self.part_sha256 == violation.part_sha256)
            and _names(self.at) == _names(violation.at)
        )


class Revocation(Model):
    """The predicate `waiver-revocation/v1`: this waiver counts no more, whatever else is signed."""

    policyd: Literal["waiver-revocation/v1"] = "waiver-revocation/v1"
    waiver_sha256: Sha256
    reason: Reason
    revoked_by: str
    revoked_at: AwareDatetime


def _names(at: JsonPath) -> tuple[str | None, ...]:
    return tuple(step if isinstance(step, str) else None for step in at)
