"""The run manifest: the signed list of everything a run made. Release starts here."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from policyd.models.base import Model, Name, RunId, Sha256
from policyd.models.pipeline import StageKind
from policyd.models.plan import Governance


class StageState(StrEnum):
    """Where a stage stands. The last five are final."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DENIED = "denied"  # the admit gate did not allow it
    SKIPPED = "skipped"  # something it needs did not succeed
    INTERRUPTED = "interrupted"  # policyd was stopped while it ran


class Product(Model):
    """One file that a stage left: collected, hashed, stored."""

    output: Name  # the output or result that declares it
    path: str  # relative to $OUT
    type: str
    sha256: Sha256
    size: int


class ResultSummary(Model):
    """What a result file claims, parsed by the runner. `origin` is always the stage: a claim, not a fact."""

    name: Name
    kind: str
    path: str
    sha256: Sha256
    origin: Literal["stage"] = "stage"
    passed: bool | None = None  # junit: exit code 0, at least one case, no failure, fresh; None for other kinds
    counts: dict[str, int] = {}


class StageRecord(Model):
    """How one attempt of a stage went, as the runner saw it."""

    name: Name
    kind: StageKind
    definition_sha256: Sha256
    attempt: int
    state: StageState
    reason: str = ""  # why it failed, was denied or skipped, in words
    exit_code: int | None = None
    started_at: str | None = None
    finished_at: str | None = None
    sandbox: str = ""
    decision: Sha256 | None = None  # the admit decision's bundle
    attestations: tuple[Sha256, ...] = ()
    products: tuple[Product, ...] = ()
    results: tuple[ResultSummary, ...] = ()
    log_sha256: Sha256 | None = None
    target: Name | None = None


class Manifest(Model):
    """Everything of one run by digest. What is listed and missing is `undecided`."""

    policyd: Literal["manifest/v1"] = "manifest/v1"
    run_id: RunId
    pipeline: Name
    plan_sha256: Sha256
    governance: Governance
    builder_id: str
    started_at: str
    finished_at: str
    succeeded: bool
    stages: tuple[StageRecord, ...]
    decisions: tuple[Sha256, ...]  # bundles: the check decision first, then the admit decisions in order
    attestations: tuple[Sha256, ...]
    waivers: tuple[Sha256, ...] = ()
    approvals: tuple[Sha256, ...] = ()
    checkpoint: str  # signed note of the record as the run ended
