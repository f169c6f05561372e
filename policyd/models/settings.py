"""Operator settings (who judges, with what) and project settings (what the repository may add)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue, model_validator

from policyd.models.base import Model, Name, RuleId, Sha256
from policyd.models.decision import Level, Severity

#: A word that Rego packages of a layer begin with.
Prefix = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
#: Rule id → name of a setting → its value. Which value fits, the rule says (`policy.rule_settings`).
RuleSettings = dict[RuleId, dict[str, JsonValue]]


class PinnedFile(Model):
    """A file by absolute path, and the digest it must have; without one nobody has pinned it, and nothing uses it."""

    path: str
    sha256: Sha256 | None = None


class RoleKeys(Model):
    """The private keys policyd signs with, one a role: absolute paths, or URIs of keys in a device or service."""

    decider: str
    builder: str
    verifier: str
    log: str


class Target(Model):
    """Where artifacts may go. `folder` is mounted at /target: writable for deploy stages, read-only for monitor."""

    uri: Annotated[str, Field(min_length=1)]
    folder: str | None = None
    #: The collection whose release rules judge artifacts that no run made; without one they are refused.
    foreign: Name | None = None


class Timestamping(Model):
    """An RFC 3161 authority that is asked for a timestamp of every signature; the trust policy pins whose are taken."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s@]+$")]


class Helpers(Model):
    """Absolute paths of helper programs, where they are not on the fixed system path."""

    bwrap: str | None = None
    git: str | None = None
    opa: str | None = None


class OpaServer(Model):
    """An OPA that somebody else runs and that holds the policy set already: policyd asks it and uploads nothing."""

    url: Annotated[str, Field(pattern=r"^https://[A-Za-z0-9.:\[\]-]+/?$")]  # no path, user or query
    ca_file: str | None = None  # absolute; whose certificates are believed, in place of the public authorities
    token_file: str | None = None  # absolute; the bearer token it wants
    timeout_seconds: Annotated[int, Field(ge=1, le=300)] = 10  # for everything that one decision asks


class WaiverSettings(Model):
    """How long waivers may last, and where they are looked for."""

    max_days: Annotated[int, Field(ge=1, le=3650)] = 90  # from the request on
    folder: str | None = None  # absolute; None is the folder `waivers` of the project


class Tightening(Model):
    """What a layer may ask of the rules above it: more, and nothing less."""

    rules: tuple[RuleId, ...] = ()  # rules of layers above to ask beyond their collections
    levels: dict[RuleId, Level] = {}  # only upwards
    fail_on: Severity | None = None  # deny from this severity on, as --fail-on
    rule_settings: RuleSettings = {}  # only tighter, but for rules of its own


class TeamSettings(Tightening):
    """A team's layer, between the organisation's and the project's. Without a `policy_set` it only tightens."""

    policy_set: str | None = None  # absolute path of a folder or bundle
    collection: Name | None = None  # of its policy set; all its rules without one
    prefix: Prefix | None = None  # of its packages; `team_NAME` without one
    projects: tuple[str, ...] = ()  # absolute folders: only projects below one of them; without any, all

    @model_validator(mode="after")
    def _has_rules_for_its_projects(self) -> TeamSettings:
        # What is verified later has no folder: the plan names the team by its policy set.
        if self.projects and self.policy_set is None:
            raise ValueError("a team for some projects only needs a `policy_set`")
        return self


class OperatorSettings(Model):
    """What the operator decides. Never read from the repository that is judged."""

    policyd: Literal["settings/v1"]
    trust_policy: PinnedFile
    policy_set: str | None = None  # absolute path of a folder or signed bundle; None is the library of policyd
    collection: Name = "baseline"  # which of the policy set's collections every decision asks
    prefix: Prefix = "policyd"  # of the policy set's packages
    rule_settings: RuleSettings = {}
    teams: dict[Name, TeamSettings] = {}
    store: str
    state: str  # checkpoints and highest versions, kept outside the store
    builder_id: Annotated[str, Field(min_length=8)]  # URI prefix; policyd appends the isolation that applied
    verifier_id: Annotated[str, Field(min_length=8)]  # URI that verification summaries name; the trust policy lists it
    keys: RoleKeys
    #: A program and its arguments that print the passphrase or PIN of the key in POLICYD_KEY; the program absolute.
    password_command: tuple[str, ...] = ()
    timestamp: Timestamping | None = None
    engine: Literal["embedded", "opa", "both"] = "embedded"
    opa_server: OpaServer | None = None  # asked by `opa` and `both` in place of one that policyd starts
    targets: dict[Name, Target] = {}
    tools: dict[Name, str] = {}  # name in a pipeline → absolute folder
    helpers: Helpers = Helpers()
    waivers: WaiverSettings = WaiverSettings()
    comments: bool = True  # whether `# policyd: ignore[…]` in a pipeline acts, in `check` alone
    #: Where stages get their directories: a sticky folder or one of the operator's.
    workspaces: str = "/var/tmp"  # noqa: S108  # each directory below is made with mkdtemp, 0700
    stage_uid: Annotated[int, Field(ge=1, le=2**31)] = 60790  # see adapters/sandboxes; used when policyd is root


class ProjectSettings(Tightening):
    """`policyd.yaml`. Adds rules and tightens; names no command, key, URL, store or path outside the tree."""

    policyd: Literal["project/v1"]
    comments: bool = True  # False: comments in pipelines lift nothing here
    policies: str | None = None  # a folder of the project's own rules, below its root
