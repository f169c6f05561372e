"""The plan: everything a run is allowed to use, by digest. Its own SHA-256 is its name."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from policyd.models.base import Model, Name, Sha256
from policyd.models.canonical import sha256_hex
from policyd.models.pipeline import Output, Result, StageKind

Governance = Literal["operator", "self"]
SandboxMode = Literal["bwrap", "none"]


class PolicySetRef(Model):
    """A policy set by name and digest."""

    name: str
    sha256: Sha256


class LayerRef(Model):
    """A layer of policy: whose it is, and the set of rules that judged for it."""

    layer: Literal["organisation", "team", "project"]
    name: str  # the policy set's, the team's, or the folder of the project
    sha256: Sha256
    prefix: str  # what the packages of its modules begin with
    collection: str | None = None  # None where all its rules are asked


class SourceTree(Model):
    """The source by the digest of its manifest (path, mode, sha256 of each file, sorted, RFC 8785)."""

    sha256: Sha256
    files: int
    commit: str | None = None  # the git commit checked out, if this is a git checkout
    clean: bool | None = None  # blob ids computed by policyd equal the commit's tree; None outside git


class Requester(Model):
    """Who asked for the run. `unverified` unless a key or token in the trust policy vouches."""

    identity: str
    verified: bool


class PlannedTool(Model):
    """A tool by name and where it comes from. `sha256` is that of the lock file or of the folder's manifest."""

    name: Name
    kind: Literal["lock", "folder"]
    path: str
    sha256: Sha256


class PlannedStage(Model):
    """One stage, normalised: defaults filled in, source globs kept, everything in a fixed order."""

    name: Name
    kind: StageKind
    needs: tuple[Name, ...]
    argvs: tuple[tuple[str, ...], ...]
    source: bool | tuple[str, ...]
    products: tuple[str, ...]
    outputs: tuple[Output, ...]
    results: tuple[Result, ...]
    tools: tuple[PlannedTool, ...]
    env: dict[str, str]
    timeout_seconds: int
    target: Name | None = None
    definition_sha256: Sha256  # of the normalised stage without this field


class Plan(Model):
    """What would run, in order. Holds no time, no run id and no secret: the same inputs give the same bytes."""

    policyd: Literal["plan/v1"] = "plan/v1"
    pipeline: str
    pipeline_path: str
    pipeline_sha256: Sha256
    policy_set: PolicySetRef
    layers: tuple[LayerRef, ...] = ()  # the organisation's first, which is `policy_set`
    terms_sha256: Sha256 | None = None  # of how rules are chosen and weighed (`models.decision.Terms`)
    settings_sha256: Sha256
    trust_policy_sha256: Sha256
    source: SourceTree
    waivers: tuple[Sha256, ...] = ()  # the files read as waivers and revocations, whether they count or not; sorted
    requester: Requester
    governance: Governance
    builder_id: str
    sandbox: SandboxMode
    helpers: dict[str, Sha256]  # the programs policyd calls (bwrap, git), by digest
    stages: tuple[PlannedStage, ...]

    @cached_property
    def sha256(self) -> Sha256:
        """The plan's name."""
        return sha256_hex(self.to_json())

    @cached_property
    def _by_name(self) -> dict[str, PlannedStage]:
        return {stage.name: stage for stage in self.stages}

    def stage(self, name: str) -> PlannedStage:
        """Return the stage called `name`; `KeyError` if the plan has none."""
        return self._by_name[name]
