"""The native pipeline file, `policyd: pipeline/v1`, as its author writes it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from policyd.models.base import Model, Name


class StageKind(StrEnum):
    """What a stage is for. Rules ask by kind; the runner treats `deploy` and `monitor` targets apart."""

    SOURCE = "source"
    BUILD = "build"
    TEST = "test"
    SCAN = "scan"
    PACKAGE = "package"
    DEPLOY = "deploy"
    MONITOR = "monitor"


def _inside_out(path: str) -> str:
    parts = path.split("/")
    if path.startswith("/") or ".." in parts or "." in parts or "" in parts:
        raise ValueError("must be a relative path below the output directory, without '.', '..' or empty parts")
    return path


#: A path or glob relative to the stage's output directory ($OUT).
OutputPath = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9._*?+@=,\[\]/-]{1,256}$"), AfterValidator(_inside_out)
]
#: `stage.output`
ProductRef = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}\.[a-z0-9][a-z0-9_-]{0,62}$")]
#: `30s`, `10m`, `2h`
Duration = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,5}[smh]$")]
#: A glob relative to the root of the source tree.
SourceGlob = Annotated[
    str, StringConstraints(pattern=r"^[^/\\\x00-\x1f][^\\\x00-\x1f]{0,255}$"), AfterValidator(_inside_out)
]
#: Outputs, results or tools of one stage: enough for real ones, and comparing each pair of paths stays cheap.
MAX_FILES = 64
EnvName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]


class Output(Model):
    """A product: what the stage leaves in $OUT for later stages and for release."""

    name: Annotated[Name, Field(description="How later stages and releases speak of it: STAGE.NAME.")]
    path: Annotated[
        OutputPath,
        Field(description="Where the stage leaves it, relative to $OUT; a glob may match several files, at least one."),
    ]
    type: Annotated[Name, Field(description="What it is, in a word that rules can ask for: wheel, image, file.")] = (
        "file"
    )


class ResultKind(StrEnum):
    """What a result file claims to be; the runner parses each kind strictly."""

    JUNIT = "junit"
    SARIF = "sarif"
    SBOM = "sbom"
    JSON = "json"
    YAML = "yaml"


class Result(Model):
    """A file the stage leaves in $OUT for rules to read. A claim of the stage, never more."""

    name: Annotated[Name, Field(description="How rules and reports speak of it.")]
    kind: Annotated[ResultKind, Field(description="How the runner reads it; a file that does not fit fails the stage.")]
    path: Annotated[OutputPath, Field(description="Where the stage leaves it, relative to $OUT.")]


class Tool(Model):
    """Something the stage needs beyond /usr, mounted read-only at /tools/NAME.

    With `lock`, a hash-locked requirements file of the source tree, fetched before the run; without, a folder that
    operator settings map this name to.
    """

    name: Annotated[
        Name, Field(description="The folder below /tools, and without `lock` the name operator settings know.")
    ]
    lock: Annotated[
        SourceGlob | None,
        Field(
            description="A requirements file of the source tree with a hash for every package. Its packages are "
            "fetched before the run and put on PYTHONPATH and PATH."
        ),
    ] = None


class Inputs(Model):
    """What the stage is given. `source: true` is the whole tree, a list of globs the part that matches."""

    source: Annotated[
        bool | tuple[SourceGlob, ...],
        Field(description="true for the whole source tree in the working directory /work, or globs for a part of it."),
    ] = False
    products: Annotated[
        tuple[ProductRef, ...],
        Field(description="STAGE.OUTPUT of stages this one needs, each read-only in $INPUTS/STAGE/OUTPUT/ (/inputs)."),
    ] = ()


class Stage(Model):
    """One unit of work: approved, started and attested as a whole."""

    name: Annotated[Name, Field(description="How other stages and the record speak of it.")]
    kind: Annotated[StageKind, Field(description="What the stage is for; rules ask for it.")]
    needs: Annotated[
        tuple[Name, ...], Field(description="Stages that must have succeeded before this one may start.")
    ] = ()
    run: Annotated[
        Annotated[str, Field(min_length=1)]
        | Annotated[tuple[Annotated[tuple[str, ...], Field(min_length=1)], ...], Field(min_length=1)],
        Field(
            description="A script for `/bin/bash -euo pipefail -c`, or a list of argument lists that run in turn "
            "without a shell. It starts in /work with private HOME and TMPDIR and leaves what it makes in $OUT."
        ),
    ]
    inputs: Annotated[Inputs, Field(description="What the stage is given; nothing unless it is named.")] = Inputs()
    outputs: Annotated[
        tuple[Output, ...],
        Field(max_length=MAX_FILES, description="Products. Anything else that is left in $OUT fails the stage."),
    ] = ()
    results: Annotated[
        tuple[Result, ...],
        Field(max_length=MAX_FILES, description="Files in $OUT that rules read: test reports, findings, documents."),
    ] = ()
    tools: Annotated[
        tuple[Tool, ...],
        Field(max_length=MAX_FILES, description="What the stage needs beyond /usr, read-only at /tools/NAME."),
    ] = ()
    env: Annotated[
        dict[EnvName, str],
        Field(description="Environment variables. Nothing of policyd's own environment is passed on."),
    ] = {}
    timeout: Annotated[Duration, Field(description="When the stage is ended: 30s, 10m, 2h.")] = "10m"
    target: Annotated[
        Name | None,
        Field(
            description="Where a deploy stage releases to and a monitor stage looks: a target of operator settings, "
            "at /target, read-only for monitor."
        ),
    ] = None


class PipelineFile(Model):
    """The whole file. Cross-references (needs, products, cycles) are checked by `policyd.pipeline.native`."""

    policyd: Annotated[Literal["pipeline/v1"], Field(description="The format and its version; always the first key.")]
    name: Annotated[Name, Field(description="How the plan and the record speak of this pipeline.")]
    stages: Annotated[
        tuple[Stage, ...],
        Field(min_length=1, max_length=2000, description="The stages; `needs` says in which order they run."),
    ]

    @model_validator(mode="after")
    def _unique_names(self) -> PipelineFile:
        seen: set[str] = set()
        for stage in self.stages:
            if stage.name in seen:
                raise ValueError(f"two stages are called {stage.name!r}")
            seen.add(stage.name)
        return self


def duration_seconds(text: str) -> int:
    """Return the seconds that a `Duration` names."""
    return int(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]
