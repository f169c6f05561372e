"""The flat facts a front end extracts for rules, the same for every CI system.

A rule is one loop over one of these lists. Each fact carries `at` (a path into `input`, which the source map turns
into file, line and column), the stage it belongs to, and whatever a regular expression would have found. Fields are
always there: a rule never has to guess whether one is missing (docs/rego.md).

What a command *does* is a list of its own, `effects`: the front ends know curl's options and npm's, so that a rule
only has to say which effects it does not want.
"""

from __future__ import annotations

from typing import Literal

from policyd.models.base import JsonPath, Model

#: `untrusted`: anyone outside can make it happen; `internal`: members; `unknown`: the dialect can't tell.
Trust = Literal["trusted", "internal", "untrusted", "unknown"]
#: Where a value lands.
Sink = Literal["script", "condition", "environment", "input", "reference", "other"]
#: What has to hold before something happens, so that a stranger alone can't cause it.
Guard = Literal[
    "approval",  # a person lets each run pass: a protected environment, a manual job
    "label",  # somebody with rights put a label on
    "comment",  # somebody wrote a comment; who may is said by other guards
    "actor",  # a list of actors by name
    "association",  # the author is a member, owner or collaborator
    "permission",  # the actor's permission was asked of the system
    "same-repository",  # no fork
    "merged",  # the change was merged before
    "protected",  # only protected branches or tags
    "event",  # the events that strangers can cause are left out
]
#: What sets a variable.
VariableOrigin = Literal["environment", "input", "credentials"]
#: What comes from elsewhere.
ReferenceKind = Literal[
    "action", "workflow", "image", "include", "template", "component", "task", "repository", "orb", "tool"
]
#: What a stage is for, as its commands and components show.
Purpose = Literal["source", "build", "test", "scan", "package", "sign", "sbom", "publish", "deploy", "monitor"]
#: What something is known to do (`Effect`).
EffectKind = Literal[
    "download-run",  # runs what it has just fetched, unverified
    "insecure-url",  # fetches code without encryption
    "unlocked-install",  # installs a package by name, not from a lock file with hashes
    "unpinned-image",  # runs an image by a name that can change
    "environment-write",  # sets variables or the path of later steps; detail is the file or command
    "output-write",  # sets outputs of its step
    "deprecated-command",  # ::set-env and their like
    "tls-off",  # certificates are not verified
    "signature-off",  # signatures or checksums are not verified
    "secret-print",  # a secret reaches the log
    "environment-dump",  # all variables reach the log
    "secret-send",  # a secret goes to another host
    "environment-send",  # all variables go to another host
    "secret-argument",  # a secret stands in the arguments, where other processes and logs see it
    "literal-credential",  # a password, key or token is written out
    "privileged-container",
    "root-container",  # a container is told to run as root
    "host-mount",  # a folder of the host that gives the host away
    "host-socket",  # the container engine's socket
    "reverse-shell",
    "evaluates",  # runs a text as code (eval, sh -c "$X")
    "loads-code",  # a variable that makes programs load code before their own
    "weak-shell",  # a shell is chosen whose scripts nothing can check
    "log-commands",  # lets any line of the log set the environment of later steps
    "argument",  # hands a value to a program that takes options or scripts from it
    "request",  # fetches an address made of a value
    "runs-workspace",  # runs code, build files or configuration of the working tree
    "ignores-failure",
    "debug",  # debug output of the system is on
    "auto-merge",  # merges or approves a change
    "persists-credentials",  # leaves credentials where later steps or artifacts find them
    "test",
    "scan",
    "build",
    "package",
    "sign",
    "sbom",
    "publish",
    "deploy",
]


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
    purposes: list[Purpose] = []  # what it does: its kind, else what its commands and components show; sorted
    needs: list[str]
    needs_kinds: list[str]  # purposes of all stages needed, directly or not; sorted. Not names: stays linear
    runner: list[str]
    runner_at: JsonPath = ()  # where its runner is chosen; () where nothing says
    self_hosted: bool
    environment: str
    target: str
    timeout_seconds: int | None
    explicit_timeout: bool  # the file states a limit; 0 is none
    untrusted: bool  # an untrusted trigger can start it
    privileged: bool  # it then has secrets or a token that writes
    guards: list[Guard] = []  # what its own condition and environment ask for first
    asks: list[Guard] = []  # the same, and what its steps ask for before it goes on
    has_secrets: bool = False  # a secret other than the system's own token reaches it
    writes: bool = False  # its token can write, or it may log in to a cloud
    outputs: list[str]
    results: list[str]  # kinds of result files
    has_source: bool
    runs_twice: bool = False  # one push starts it twice: for the branch, and for the request to merge it


class Trigger(Fact):
    """An event that starts the pipeline."""

    event: str
    trust: Trust
    privileged: bool  # runs with the secrets and token of the base repository although trust is untrusted
    types: list[str] = []  # activity types, where the system has them
    branches: list[str] = []  # branch filters as written; tags begin with `refs/tags/`, what is left out with `!`
    parameters: list[str] = []  # what who starts it can set
    authenticated: bool = True  # False where a caller needs to prove nothing


class Reference(Fact):
    """Something from elsewhere that runs here: an action, image, reusable workflow, template, tool.

    `inputs` are the values given to it, as written. `slug` is `owner/name` as lists of known components spell it: in
    lower case, without the folder inside a repository.
    """

    text: str
    kind: ReferenceKind
    owner: str
    name: str
    ref: str
    local: bool
    pinned: bool  # to a full digest
    computed: bool = False  # holds an expression, so what it names is not known here
    comment: str = ""  # what stands behind it on the line
    inputs: dict[str, str] = {}
    inputs_at: dict[str, JsonPath] = {}  # where each of these stands, for systems that say
    slug: str = ""


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
    reads_untrusted: list[str] = []  # variables it uses that hold an outsider's text
    reads_secrets: list[str] = []  # variables it uses that hold a secret


class Effect(Fact):
    """What a command, variable, container or component is known to do. `detail` is the option, file, URL or package."""

    kind: EffectKind
    program: str  # "" where no program does it
    text: str
    detail: str
    untrusted: bool = False  # a stranger's text is in it
    computed: bool = False  # the text is made while it runs: a substitution, a file's content
    secret: bool = False
    guards: list[Guard] = []
    confidence: Literal["high", "medium", "low"] = "high"


class Expression(Fact):
    """A value expanded by the CI system into something."""

    text: str
    contexts: list[str]  # e.g. ["github.event.issue.title"]
    functions: list[str] = []  # e.g. ["contains"]
    untrusted: bool
    sink: Sink
    always_true: bool
    ternary: bool = False  # `a && b || c` where b counts as false
    constant: bool = False  # reads nothing: always the same text, which need not be computed
    computed: bool = False  # what it reads is named by a value, as in `secrets[matrix.name]`
    open: bool = False  # whoever starts or calls this chooses any text for it; no outsider is known to


class Checkout(Fact):
    """A checkout of source code, and what runs of it afterwards."""

    text: str
    ref: str
    untrusted: bool  # brings in code of an outsider
    persists_credentials: bool
    path: str = ""  # the folder it lies in, "" where it is the working tree itself
    mutable: bool = False  # the ref can move between a check and the checkout
    guards: list[Guard] = []
    runs: str = ""  # what first runs of the tree after it, in the same stage ("" if nothing is seen to)
    runs_at: JsonPath = ()


class Cache(Fact):
    """A cache that a stage restores or saves."""

    text: str
    key: str
    paths: list[str]
    restores: bool
    saves: bool
    untrusted: bool  # code of outsiders can write what is restored, or writes it here
    publishes: bool  # the stage releases what it makes


class ArtifactUse(Fact):
    """Files handed from one stage or pipeline to another."""

    text: str
    name: str
    paths: list[str]
    direction: Literal["upload", "download"]
    untrusted: bool  # made by a run that outsiders' code had a part in
    foreign: bool  # of another run, pipeline or repository
    into_workspace: bool  # unpacked where build files and scripts lie
    whole_workspace: bool  # takes everything along, `.git` included
    credentials: str = ""  # the path of a file with credentials that is taken along
    runs: str = ""  # what first runs of it afterwards
    runs_at: JsonPath = ()


class Flow(Fact):
    """A stranger's value that passes a border: another job, workflow, action or template."""

    kind: Literal["output", "call", "artifact", "variable"]
    value: str  # what it begins as
    name: str  # the output, input or variable that carries it
    into: str  # the stage or file where it lands
    sink: Sink
    place: str  # `file:line` of where it lands
    lands: JsonPath = ()  # the expression it lands in, where that is a fact of this pipeline


class Permission(Fact):
    """A grant to the stage's token as it takes effect; `explicit` says that the file states it."""

    scope: str
    access: Literal["read", "write", "none"]
    explicit: bool
    level: Literal["pipeline", "stage"]
    comment: str = ""  # what is said of it, behind it or above it


class SecretUse(Fact):
    """A secret that reaches something. `all` when a whole collection does (`toJSON(secrets)`, `secrets: inherit`)."""

    name: str
    all: bool
    inherited: bool
    sink: Sink
    guards: list[Guard] = []  # what its step asks for first


class Variable(Fact):
    """An environment variable or input set to a literal or expression."""

    name: str
    value: str
    literal: bool
    origin: VariableOrigin
    untrusted: bool = False
    secret: bool = False


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
    substring: bool = False  # asks whether a text contains another where membership of a list is meant
    ternary: bool = False  # `a && b || c` where b can be false


class Facts(Model):
    """All facts of one pipeline."""

    stages: list[StageFact]
    triggers: list[Trigger]
    references: list[Reference]
    commands: list[Command]
    effects: list[Effect] = []
    expressions: list[Expression]
    checkouts: list[Checkout]
    caches: list[Cache] = []
    artifacts: list[ArtifactUse] = []
    flows: list[Flow] = []
    permissions: list[Permission]
    secrets: list[SecretUse]
    variables: list[Variable]
    containers: list[Container]
    conditions: list[Condition]
