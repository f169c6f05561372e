"""Operator settings (who judges, with what) and project settings (what the repository may add)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from policyd.models.base import Model, Name, RuleId, Sha256
from policyd.models.decision import Level, Severity


class PinnedFile(Model):
    """A file by absolute path and the digest it must have."""

    path: str
    sha256: Sha256


class RoleKeys(Model):
    """Absolute paths of the private keys policyd signs with, one a role."""

    decider: str
    builder: str
    verifier: str
    log: str


class Target(Model):
    """Where artifacts may go. `folder` is mounted at /target: writable for deploy stages, read-only for monitor."""

    uri: Annotated[str, Field(min_length=1)]
    folder: str | None = None


class Helpers(Model):
    """Absolute paths of helper programs, where they are not on the fixed system path."""

    bwrap: str | None = None
    git: str | None = None
    opa: str | None = None


class OperatorSettings(Model):
    """What the operator decides. Never read from the repository that is judged."""

    policyd: Literal["settings/v1"]
    trust_policy: PinnedFile
    policy_set: str | None = None  # absolute folder; None is the library that comes with policyd
    collection: Name = "baseline"  # which of the policy set's collections every decision asks
    store: str
    state: str  # checkpoints and highest versions, kept outside the store
    builder_id: Annotated[str, Field(min_length=8)]  # URI prefix; policyd appends the isolation that applied
    verifier_id: Annotated[str, Field(min_length=8)]  # URI that verification summaries name; the trust policy lists it
    keys: RoleKeys
    engine: Literal["embedded", "opa", "both"] = "embedded"
    targets: dict[Name, Target] = {}
    tools: dict[Name, str] = {}  # name in a pipeline → absolute folder
    helpers: Helpers = Helpers()
    #: Where stages get their directories: a sticky folder or one of the operator's.
    workspaces: str = "/var/tmp"  # noqa: S108  # each directory below is made with mkdtemp, 0700
    stage_uid: Annotated[int, Field(ge=1, le=2**31)] = 60790  # see adapters/sandboxes; used when policyd is root


class ProjectSettings(Model):
    """`policyd.yaml`. Adds rules and raises levels; names no command, key, URL, store or path outside the tree."""

    policyd: Literal["project/v1"]
    rules: tuple[RuleId, ...] = ()  # rules of the library to ask beyond the collection
    levels: dict[RuleId, Level] = {}  # only upwards
    fail_on: Severity | None = None  # deny from this severity on, as --fail-on
