"""Frameworks, the evidence that speaks to their controls, and what an audit concludes."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from policyd.models.base import Model, RunId, Sha256
from policyd.models.decision import Verdict
from policyd.models.plan import Governance, PolicySetRef

ControlId = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9][A-Za-z0-9.-]{1,63}$")]
#: Printed as a link, so nothing but https and nothing that needs escaping.
HttpsUrl = Annotated[str, StringConstraints(pattern=r"^https://[A-Za-z0-9.-]+(/[A-Za-z0-9._~/#?=&%-]*)?$")]
Text = Annotated[str, Field(min_length=1)]


class EvidenceKind(StrEnum):
    """What can speak to a control. All but `RULES` are facts of runs, verified before they come here."""

    RULES = "rules"  # rules of the policy set that name the control
    SIGNED_DECISION = "signed_decision"  # every decision the run lists is there and signed by the decider
    MANIFEST = "manifest"  # the run manifest is there and signed by the builder
    PROVENANCE = "provenance"  # every product has verified provenance
    SUMMARY = "summary"  # the release left a signed verification summary
    SANDBOXED_STAGES = "sandboxed_stages"  # every stage that ran was isolated
    SEPARATE_SIGNER = "separate_signer"  # the signing key was out of reach of every stage
    HOSTED_BUILDER = "hosted_builder"  # the trust policy vouches for the builder as a hosted one
    HARDENED_BUILDER = "hardened_builder"  # and as a hardened one
    RECORD_VERIFIED = "record_verified"  # the append-only record agrees with itself and its checkpoints


class Control(Model):
    """One requirement of a framework.

    It is met when every kind in `requires` was looked at and holds, every control in `includes` is met, and nothing in
    `also` speaks against it. With neither `requires` nor `includes` it can never be met: policyd sees what breaks such
    a control and not what fulfils it, and `not_covered` says why.
    """

    id: ControlId
    title: Text
    url: HttpsUrl
    description: Text
    requires: tuple[EvidenceKind, ...] = ()
    also: tuple[EvidenceKind, ...] = ()
    includes: tuple[ControlId, ...] = ()
    not_covered: str = ""

    @model_validator(mode="after")
    def _says_what_it_cannot_see(self) -> Control:
        if not self.requires and not self.includes and not self.not_covered:
            raise ValueError(f"{self.id} requires no evidence, so it has to say in 'not_covered' why")
        return self


class Framework(Model):
    """A published set of controls, in its own order."""

    policyd: Literal["framework/v1"]
    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,63}$")]
    title: Text
    version: Text
    url: HttpsUrl
    controls: Annotated[tuple[Control, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _controls_build_on_earlier_ones(self) -> Framework:
        seen: set[str] = set()
        for control in self.controls:
            if control.id in seen:
                raise ValueError(f"two controls are called {control.id}")
            if unknown := set(control.includes) - seen:
                raise ValueError(f"{control.id} includes {', '.join(sorted(unknown))}, which does not stand before it")
            seen.add(control.id)
        return self


class RunEvidence(Model):
    """What the store's evidence shows of one run, after verification. Nothing unverified is ever counted in here."""

    run_id: RunId
    pipeline: str
    state: Literal["succeeded", "failed", "interrupted", "running"]
    started_at: str  # RFC 3339, UTC
    governance: Governance
    builder_id: str
    plan_sha256: Sha256 | None = None
    manifest_sha256: Sha256 | None = None
    manifest_verified: bool = False
    decisions_listed: Annotated[int, Field(ge=0)] = 0
    decisions_verified: Annotated[int, Field(ge=0)] = 0
    products: Annotated[int, Field(ge=0)] = 0
    products_with_provenance: Annotated[int, Field(ge=0)] = 0
    summaries_verified: Annotated[int, Field(ge=0)] = 0
    stages_run: Annotated[int, Field(ge=0)] = 0
    sandbox_modes: tuple[str, ...] = ()  # every mode that a stage of the run really had
    builder_max_level: Annotated[int, Field(ge=0, le=3)] = 0  # what the trust policy grants (builder id, key)
    record_verified: bool | None = None  # None where the record was not looked at


class Status(StrEnum):
    """Where a control stands. The worst of what was found, in this order."""

    NOT_MET = "not_met"
    NOT_TESTED = "not_tested"
    WAIVED = "waived"
    MET = "met"


class Speaks(StrEnum):
    """What a piece of evidence says of a control."""

    FOR = "for"
    AGAINST = "against"
    WAIVED = "waived"
    UNDECIDED = "undecided"  # something was there and could not be judged
    NOTE = "note"  # worth knowing, and weighs nothing


class Evidence(Model):
    """One thing looked at. `subject` is a pipeline's path, a run id or a control id."""

    kind: EvidenceKind | Literal["control"]
    speaks: Speaks
    subject: str
    text: str
    place: str = ""  # file:line:column
    sha256: Sha256 | None = None

    @property
    def about(self) -> str:
        """What it is about, for people: the most exact place there is; runs by the start of their id."""
        if self.kind in ("control", EvidenceKind.RULES):
            return self.place or self.subject
        return f"run {self.subject[:12]}"


class ControlStatus(Model):
    """What an audit concludes of one control. `reasons` say in words why it is not met, not tested or waived."""

    control: Control
    status: Status
    reasons: tuple[str, ...]
    evidence: tuple[Evidence, ...]


class FrameworkStatus(Model):
    """What an audit concludes of one framework."""

    id: str
    title: str
    version: str
    url: HttpsUrl
    controls: tuple[ControlStatus, ...]

    def count(self, status: Status) -> int:
        """Return how many controls have `status`."""
        return sum(control.status is status for control in self.controls)


class AuditedPipeline(Model):
    """A pipeline that was judged for the audit."""

    path: str
    verdict: Verdict
    rules: int
    deny: int
    warn: int
    waived: int
    input_sha256: Sha256


class UnreadablePipeline(Model):
    """A pipeline that was found and could not be judged at all."""

    path: str
    cause: str


class AuditReport(Model):
    """Everything an audit looked at and concluded."""

    policyd: Literal["audit/v1"] = "audit/v1"
    repository: str
    generated_at: str  # RFC 3339, UTC
    version: str  # of policyd
    policy_sets: tuple[PolicySetRef, ...]
    governance: Governance
    pipelines: tuple[AuditedPipeline, ...]
    unreadable: tuple[UnreadablePipeline, ...]
    runs: tuple[RunEvidence, ...]
    runs_left_out: int  # runs of the store that were not considered
    frameworks: tuple[FrameworkStatus, ...]
