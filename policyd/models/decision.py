"""A decision: the answer of a gate with its reasons."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from policyd.models.base import JsonPath, Model, RuleId, RunId, Sha256
from policyd.models.plan import Governance, LayerRef, PolicySetRef


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
    waiver: str | None = None  # the SHA-256 of the waiver that lifted it
    blocks_from: str | None = None  # RFC 3339; set where the rule is not in force yet


class Problem(Model):
    """Why something asked could not be judged."""

    rule: RuleId | None = None
    message: str
    where: str
    fix: str = ""


class WaiverState(StrEnum):
    """What became of a waiver in a decision. Only `USED` lifted anything."""

    USED = "used"
    VALID = "valid"  # it counts, in a list of waivers; what it lifts shows where its stage or artifact is judged
    IGNORED = "ignored"  # it covers a violation of a hard rule, which no waiver lifts
    UNUSED = "unused"  # it counts, and nothing here needs it
    ORPHANED = "orphaned"  # what it was for has changed or is gone
    REQUESTED = "requested"  # not approved yet by as many persons as it takes
    NOT_YET_VALID = "not yet valid"
    EXPIRED = "expired"
    REVOKED = "revoked"
    INVALID = "invalid"


class WaiverNote(Model):
    """A waiver that was there when a decision was made, and why it did or did not count."""

    state: WaiverState
    source: str  # the file it was found in
    sha256: Sha256 | None = None  # of the statement that was signed: the waiver's name
    evidence_sha256: Sha256 | None = None  # of the file with its signatures
    rule: RuleId | None = None
    why: str = ""
    reason: str = ""  # as its requester gave it
    requested_by: tuple[str, ...] = ()  # verified persons
    approved_by: tuple[str, ...] = ()
    expires_at: str | None = None
    expires_soon: bool = False


class Terms(Model):
    """What, besides the policy set, said which rules are asked and how strictly: all that asking again needs."""

    collection: str
    rules: tuple[RuleId, ...] = ()  # asked in addition, by a team or the project
    levels: dict[RuleId, Level] = {}  # raised by a team or the project
    fail_on: Severity | None = None
    settings: dict[RuleId, dict[str, bool | int | str | tuple[str, ...]]] = {}  # those that are not as rules declare


class EngineRef(Model):
    """The engine that answered."""

    name: str
    version: str
    sha256: Sha256 | None = None  # of its executable, where it is one


class JudgedLayer(LayerRef):
    """A layer of policy with what it said by itself, and the engine it was asked of."""

    engine: EngineRef
    verdict: Verdict

    @property
    def ref(self) -> LayerRef:
        """The layer as plans name it."""
        return LayerRef(
            layer=self.layer, name=self.name, sha256=self.sha256, prefix=self.prefix, collection=self.collection
        )


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
    policy_set: PolicySetRef  # the organisation's
    layers: tuple[JudgedLayer, ...] = ()  # all that judged, the organisation's first; the worst of them is `verdict`
    engine: EngineRef
    input_sha256: Sha256
    file: str | None = None  # the pipeline's path from the project's root, where `subject` is another
    source_sha256: Sha256 | None = None  # of the pipeline file, which places point into, at the gate `pipeline`
    included: dict[str, Sha256] | None = None  # files of the repository that the pipeline includes, by path
    terms: Terms | None = None
    rules: tuple[RuleId, ...]
    violations: tuple[Violation, ...] = ()
    problems: tuple[Problem, ...] = ()
    weakened: tuple[str, ...] = ()  # every check that was weakened, in words
    waivers: tuple[WaiverNote, ...] = ()  # those that were used, and those that were there and did not count
    governance: Governance
    decided_at: str  # RFC 3339, UTC

    @property
    def allowed(self) -> bool:
        """True for `allow` alone."""
        return self.verdict is Verdict.ALLOW
