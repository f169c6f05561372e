"""The flat facts a front end extracts for rules, the same for every CI system.

A rule is one loop over one of these lists. Each fact carries `at` (a path into `input`, which the source map turns
into file, line and column), the stage it belongs to, and whatever a regular expression would have found. Fields are
always there: a rule never has to guess whether one is missing (docs/rego.md).
"""

from __future__ import annotations

from typing import Literal

from policyd.models.base import JsonPath, Model

#: `untrusted`: anyone outside can make it happen; `internal`: members; `unknown`: the dialect can't tell.
Trust = Literal["trusted", "internal", "untrusted", "unknown"]
#: Where a value lands.
Sink = Literal["script", "condition", "environment", "input", "other"]


class Fact(Model):
    """What every fact has: where it stands and in which stage ("" for the pipeline itself)."""

    at: JsonPath
    stage: str


class StageFact(Model):
    """A stage as rules see it. `untrusted` and `privileged` say who can start it and what it may do then."""

    at: JsonPath
    name: str
    group: str
    kind: str  # a StageKind, or "" where the dialect does not say
    needs: list[str]
    needs_kinds: list[str]  # kinds of all stages needed, directly or not; sorted. Kinds, not names: stays linear
    runner: list[str]
    self_hosted: bool
    environment: str
    target: str
    timeout_seconds: int | None
    explicit_timeout: bool
    untrusted: bool  # an untrusted trigger can start it
    privileged: bool  # it then has secrets or a token that writes
    outputs: list[str]
    results: list[str]  # kinds of result files
    has_source: bool


class Trigger(Fact):
    """An event that starts the pipeline."""

    event: str
    trust: Trust
    privileged: bool  # runs with the secrets and token of the base repository although trust is untrusted


class Reference(Fact):
    """Something from elsewhere that runs here: an action, image, reusable workflow, tool."""

    text: str
    kind: Literal["action", "workflow", "image", "include", "tool"]
    owner: str
    name: str
    ref: str
    local: bool
    pinned: bool  # to a full digest


class Command(Fact):
    """One command of a script, words already split where the shell would.

    `pipes_to` is the program that a pipeline hands the output to ("" if none); `argv` of `curl x | sh` is
    `["curl", "x"]` and `pipes_to` is `sh`. `argv` begins with the program: assignments and `sudo` are left out.
    `writes_to` are the files that output is redirected to, as written.
    """

    text: str
    program: str
    argv: list[str]
    pipes_to: str
    writes_to: list[str] = []
    shell: str
    untrusted: bool  # contains an untrusted value expanded as text


class Expression(Fact):
    """A value expanded by the CI system into something."""

    text: str
    contexts: list[str]  # e.g. ["github.event.issue.title"]
    untrusted: bool
    sink: Sink
    always_true: bool


class Checkout(Fact):
    """A checkout of source code."""

    text: str
    ref: str
    untrusted: bool  # brings in code of an outsider
    persists_credentials: bool


class Permission(Fact):
    """A grant to the stage's token as it takes effect; `explicit` says that the file states it."""

    scope: str
    access: Literal["read", "write", "none"]
    explicit: bool
    level: Literal["pipeline", "stage"]


class SecretUse(Fact):
    """A secret that reaches something. `all` when a whole collection does (`toJSON(secrets)`, `secrets: inherit`)."""

    name: str
    all: bool
    inherited: bool
    sink: Sink


class Variable(Fact):
    """An environment variable or input set to a literal or expression."""

    name: str
    value: str
    literal: bool
    origin: Literal["environment", "input", "credentials"]


class Container(Fact):
    """A container a stage runs in or beside, with its options as written."""

    image: str
    options: str
    privileged: bool
    volumes: list[str]


class Condition(Fact):
    """A condition on a stage or step."""

    text: str
    always_true: bool
    spoofable_actor: bool


class Facts(Model):
    """All facts of one pipeline."""

    stages: list[StageFact]
    triggers: list[Trigger]
    references: list[Reference]
    commands: list[Command]
    expressions: list[Expression]
    checkouts: list[Checkout]
    permissions: list[Permission]
    secrets: list[SecretUse]
    variables: list[Variable]
    containers: list[Container]
    conditions: list[Condition]
