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
EnvName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]


class Output(Model):
    """A product: what the stage leaves in $OUT for later stages and for release."""

    name: Name
    path: OutputPath
    type: Name = "file"


class ResultKind(StrEnum):
    """What a result file claims to be; the runner parses each kind strictly."""

    JUNIT = "junit"
    SARIF = "sarif"
    SBOM = "sbom"
    JSON = "json"
    YAML = "yaml"


class Result(Model):
    """A file the stage leaves in $OUT for rules to read. A claim of the stage, never more."""

    name: Name
    kind: ResultKind
    path: OutputPath


class Tool(Model):
    """Something the stage needs beyond /usr, mounted read-only at /tools/NAME.

    With `lock`, a hash-locked requirements file of the source tree, fetched before the run; without, a folder that
    operator settings map this name to.
    """

    name: Name
    lock: SourceGlob | None = None


class Inputs(Model):
    """What the stage is given. `source: true` is the whole tree, a list of globs the part that matches."""

    source: bool | tuple[SourceGlob, ...] = False
    products: tuple[ProductRef, ...] = ()


class Stage(Model):
    """One unit of work: approved, started and attested as a whole."""

    name: Name
    kind: StageKind
    needs: tuple[Name, ...] = ()
    run: (
        Annotated[str, Field(min_length=1)]
        | Annotated[tuple[Annotated[tuple[str, ...], Field(min_length=1)], ...], Field(min_length=1)]
    )
    inputs: Inputs = Inputs()
    outputs: tuple[Output, ...] = ()
    results: tuple[Result, ...] = ()
    tools: tuple[Tool, ...] = ()
    env: dict[EnvName, str] = {}
    timeout: Duration = "10m"
    target: Name | None = None


class PipelineFile(Model):
    """The whole file. Cross-references (needs, products, cycles) are checked by `policyd.pipeline.native`."""

    policyd: Literal["pipeline/v1"]
    name: Name
    stages: Annotated[tuple[Stage, ...], Field(min_length=1, max_length=2000)]

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
