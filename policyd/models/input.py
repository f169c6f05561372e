"""What rules see as `input`, by gate. The JSON Schema that policy authors use is generated from here.

No answer about an input that does not fit these models counts: the decision is `undecided` (docs/rego.md).
Lists are bounded by the stage or pipeline judged, so a run's cost stays linear in its stages: the stage gate sees the
facts of its own stage and the evidence of the stages it needs, not of the whole pipeline.
"""

from __future__ import annotations

from typing import Any, Literal

from policyd.models.base import Model, Sha256
from policyd.models.decision import Gate, Verdict
from policyd.models.facts import Facts
from policyd.models.manifest import Product, ResultSummary
from policyd.models.pipeline import StageKind
from policyd.models.plan import Governance, PlannedStage, Requester, SourceTree

Dialect = Literal["policyd", "github", "gitlab", "azure", "tekton"]
#: What a file is to its system: `component` is a GitLab component or template, `settings` a file such as
#: dependabot.yml.
PipelineKind = Literal["pipeline", "workflow", "action", "component", "template", "task", "trigger", "settings"]


class PipelineRef(Model):
    """The pipeline judged, or another one of the repository."""

    path: str
    dialect: Dialect
    kind: PipelineKind
    name: str


class Repository(Model):
    """All pipelines of the repository, for rules about flows between files.

    Null where none of the rules that the input was made for can read them: every file would else name all others.
    """

    pipelines: list[PipelineRef] | None


class PipelineInput(Facts):
    """Gate `pipeline`: may this pipeline run?"""

    gate: Literal[Gate.PIPELINE] = Gate.PIPELINE
    evaluated_at: str
    governance: Governance
    repository: Repository
    pipeline: PipelineRef
    document: Any  # the parsed file


class PlanSummary(Model):
    """The plan as stage and release rules see it."""

    sha256: Sha256
    pipeline: str
    source: SourceTree
    sandbox: str
    builder_id: str
    governance: Governance


class StageEvidence(Model):
    """A verified attestation of a stage of this run. Rules never see unverified evidence here."""

    stage: str
    kind: StageKind
    state: str
    definition_sha256: Sha256
    run_id: str
    plan_sha256: Sha256
    predicate_types: list[str]
    signers: list[str]  # persons
    products: list[Product]
    results: list[ResultSummary]
    sandbox: str


class ResultDocument(Model):
    """A parsed result file of a stage. Written by the stage: a claim."""

    stage: str
    name: str
    kind: str
    path: str
    sha256: Sha256
    origin: Literal["stage"] = "stage"
    document: Any


class StageInput(Facts):
    """Gate `stage`: may this stage start now, given the verified evidence before it?"""

    gate: Literal[Gate.STAGE] = Gate.STAGE
    evaluated_at: str
    governance: Governance
    repository: Repository
    pipeline: PipelineRef
    plan: PlanSummary
    stage: PlannedStage
    run_id: str
    attempt: int
    requester: Requester
    evidence: list[StageEvidence]
    results: list[ResultDocument]


class Artifact(Model):
    """What would leave, by digest, and the stage and output it is a product of."""

    name: str
    sha256: Sha256
    stage: str
    output: str
    type: str


class DecisionSummary(Model):
    """A verified decision of the run."""

    gate: Gate
    verdict: Verdict
    stage: str
    sha256: Sha256
    weakened: list[str]


class AttestationSubject(Model):
    """What an attestation says it speaks of. `sha256` is "" where it names a stronger digest only."""

    name: str
    sha256: str


class AttestationSigner(Model):
    """Somebody of the trust policy who signed. A key has no `identity` and `issuer`: both are "" then."""

    person: str
    role: str
    kind: Literal["key", "certificate"]
    key_sha256: str
    identity: str = ""
    issuer: str = ""


class AttestationFact(Model):
    """An attestation of the artifact or of its run, verified or not.

    One that failed says `verified: false`, the number of the check (docs/verifying.md) and why, and of what it claims
    only its type: nothing else in it was signed by anybody who counts.
    """

    sha256: Sha256  # of the bundle
    predicate_type: str  # "" where even that can't be read
    verified: bool
    check: int = 0  # the check that failed; 0 where it is verified
    reason: str = ""
    listed: bool = False  # by the signed manifest of the run
    origin: Literal["run", "given"]
    about_artifact: bool = False
    subjects: list[AttestationSubject] = []  # the first 64
    signers: list[AttestationSigner] = []
    fields: dict[str, str] = {}  # JSON pointer into the predicate → text, or JSON of what is no text
    fields_complete: bool = False
    run_id: str = ""  # the run that it names; "" for none
    commit: str = ""  # the commit that it names
    time: str = ""  # when it was signed; "" where nobody says so
    time_source: Literal["timestamp", "log", "claimed", "none"] = "none"
    age_seconds: int | None = None  # from `time` until now


class ReleaseInput(Model):
    """Gate `release`: may this artifact leave for this target?

    An artifact that no run of policyd made has the `run_id` "". Stage, output and type of `artifact` are "" too, as is
    the requester; digests in `plan` are all zeros. It is judged only where operator settings name a collection for it.
    """

    gate: Literal[Gate.RELEASE] = Gate.RELEASE
    evaluated_at: str
    governance: Governance
    artifact: Artifact
    target: str
    plan: PlanSummary
    run_id: str
    requester: Requester
    evidence: list[StageEvidence]
    decisions: list[DecisionSummary]
    attestations: list[AttestationFact]


#: The model that the input of each gate has to fit.
INPUT_OF_GATE: dict[Gate, type[Model]] = {
    Gate.PIPELINE: PipelineInput,
    Gate.STAGE: StageInput,
    Gate.RELEASE: ReleaseInput,
}
