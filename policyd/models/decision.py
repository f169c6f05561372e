"""A decision: the answer of a gate with its reasons."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from policyd.models.base import JsonPath, Model, RuleId, RunId, Sha256
from policyd.models.plan import Governance, PolicySetRef


class Gate(StrEnum):
    """Where a decision is made (docs/architecture.md, "One run")."""

    PIPELINE = "pipeline"
    STAGE = "stage"
    RELEASE = "release"


class Verdict(StrEnum):
    """Only `ALLOW` lets anything through."""

    ALLOW = "allow"
    DENY = "deny"
    UNDECIDED = "undecided"
    NOT_EVALUATED = "not_evaluated"


class Severity(StrEnum):
    """How bad a broken rule is."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"


class Level(StrEnum):
    """What a broken rule does: warn, deny unless waived, deny always."""

    ADVISORY = "advisory"
    SOFT = "soft"
    HARD = "hard"


class Effect(StrEnum):
    """What a violation did to this decision."""

    DENY = "deny"
    WARN = "warn"
    WAIVED = "waived"


class Place(Model):
    """A place in a file: 1-based line and column, counted in characters; columns end exclusively."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int


class Related(Model):
    """Another place that belongs to a violation, with what it adds."""

    message: str
    place: Place | None = None


class Violation(Model):
    """A rule broken by a part of the input."""

    rule: RuleId
    message: str
    at: JsonPath
    place: Place | None = None
    effect: Effect
    level: Level
    severity: Severity
    confidence: Literal["high", "medium", "low"] = "high"
    fix: str | None = None
    related: tuple[Related, ...] = ()
    part_sha256: Sha256 | None = None  # of the part of the input that `at` names; waivers bind to it
    waiver: str | None = None
    blocks_from: str | None = None  # RFC 3339; set where the rule is not in force yet


class Problem(Model):
    """Why something asked could not be judged."""

    rule: RuleId | None = None
    message: str
    where: str
    fix: str = ""


class EngineRef(Model):
    """The engine that answered."""

    name: str
    version: str
    sha256: Sha256 | None = None  # of its executable, where it is one


class Decision(Model):
    """The answer of one gate. `rules` are all that were asked; with none the verdict is `not_evaluated`."""

    policyd: Literal["decision/v1"] = "decision/v1"
    gate: Gate
    verdict: Verdict
    subject: str  # what was judged, for people: a path, a stage, an artifact
    plan_sha256: Sha256 | None = None
    run_id: RunId | None = None
    stage: str | None = None
    attempt: int | None = None
    target: str | None = None
    artifact_sha256: Sha256 | None = None  # of what would leave, at the gate `release`
    policy_set: PolicySetRef
    engine: EngineRef
    input_sha256: Sha256
    rules: tuple[RuleId, ...]
    violations: tuple[Violation, ...] = ()
    problems: tuple[Problem, ...] = ()
    weakened: tuple[str, ...] = ()  # every check that was weakened, in words
    governance: Governance
    decided_at: str  # RFC 3339, UTC

    @property
    def allowed(self) -> bool:
        """True for `allow` alone."""
        return self.verdict is Verdict.ALLOW
