"""What the core asks of a sandbox: carry out the commands of one stage in given folders, and say how it ended.

Paths are plain strings here: the core names places, an adapter opens them. A sandbox never judges a stage; it reports
the exit code or why it stopped the stage, and raises when it can't know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from policyd.models.base import Name
from policyd.models.plan import SandboxMode

#: What a stage may print. Larger logs help nobody and would fill the store.
MAX_OUTPUT_BYTES = 64 * 1024 * 1024
#: The time stages put into what they build, where nothing better is given: the first that a zip file can hold.
EPOCH_1980 = 315_532_800


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders of one stage on this machine, made and removed by policyd.

    `work`, `out`, `tmp` and `home` belong to the stage. `inputs` holds the products it was given, one folder a stage
    and one below it an output; the stage can read them only. `tools` is where its tools stand when no sandbox mounts
    them.
    """

    work: str
    out: str
    tmp: str
    home: str
    inputs: str
    tools: str


@dataclass(frozen=True, slots=True)
class ToolMount:
    """A folder that the stage finds at /tools/NAME, read-only.

    `python_path` says that it holds Python packages, which /usr/bin/python3 then finds.
    """

    name: Name
    folder: str
    python_path: bool = False


@dataclass(frozen=True, slots=True)
class TargetMount:
    """The target's folder, which the stage finds at /target."""

    folder: str
    writable: bool


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt of one stage: commands run in turn in one sandbox, up to the first that fails."""

    stage: Name
    argvs: tuple[tuple[str, ...], ...]
    folders: Folders
    timeout_seconds: float
    env: Mapping[str, str] = field(default_factory=dict)  # what the pipeline declares
    tools: tuple[ToolMount, ...] = ()
    target: TargetMount | None = None
    source_date_epoch: int = EPOCH_1980
    max_output_bytes: int = MAX_OUTPUT_BYTES


class Killed(StrEnum):
    """Why the sandbox ended a stage before it ended itself."""

    TIMEOUT = "timeout"
    OUTPUT = "output"  # printed more than `max_output_bytes`
    STOPPED = "stopped"  # `should_stop` said so


@dataclass(frozen=True, slots=True)
class JobResult:
    """How a job ended. `exit_code` is None where `killed` says why; a signal counts as 128 plus its number."""

    exit_code: int | None
    killed: Killed | None
    output_bytes: int

    @property
    def succeeded(self) -> bool:
        """True for exit code 0 alone."""
        return self.killed is None and self.exit_code == 0


def never() -> bool:
    """Let a job run to its end."""
    return False


class Sandbox(Protocol):
    """A way to isolate a stage from this machine."""

    @property
    def mode(self) -> SandboxMode:
        """The isolation that really applies; it ends up in builder id, attestation and decision."""

    @property
    def stage_uid(self) -> int | None:
        """The uid stages run as where it is not policyd's own, else None. Their folders and files belong to it."""

    def run(
        self, job: Job, *, on_output: Callable[[bytes], None], should_stop: Callable[[], bool] = never
    ) -> JobResult:
        """Run the commands of `job`; return when no process of the stage is left, so its folders no longer change.

        `on_output` gets standard output and error as they come, in one stream. `should_stop` is asked now and then.
        Raises `SandboxError` where the outcome of the stage is not known.
        """
