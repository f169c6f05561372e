"""One GitLab job as it is put together, with what is found out about it while the pipeline is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from policyd.pipeline.gitlab.events import Admission
from policyd.pipeline.gitlab.parts import Part
from policyd.pipeline.gitlab.reader import Scope
from policyd.pipeline.shell import ShellCommand
from policyd.pipeline.source_map import Spot

#: Keywords that `default` and the top of the file give to jobs that do not have them.
DEFAULTS = (
    "after_script",
    "artifacts",
    "before_script",
    "cache",
    "hooks",
    "id_tokens",
    "identity",
    "image",
    "interruptible",
    "retry",
    "services",
    "tags",
    "timeout",
)


class Handed(NamedTuple):
    """A variable that a job hands on: which job, what it begins as, and where it is written."""

    job: str
    value: str
    spot: Spot


@dataclass(slots=True)
class Job:
    """One job with all it inherits, and what is known before its scripts are read."""

    name: str
    part: Part
    entries: dict[str, Part]
    group: str = "test"
    needs: list[str] = field(default_factory=list)
    admission: Admission = field(default_factory=Admission)
    scope: Scope = field(default_factory=Scope)
    untrusted: bool = False
    privileged: bool = False
    has_powers: bool = False  # secrets, a token that writes, an environment: whoever starts it
    dotenv: tuple[str, ...] = ()  # files whose lines become variables of later jobs
    receives: dict[str, Handed] = field(default_factory=dict)  # such variables of earlier jobs
    commands: list[tuple[ShellCommand, Spot]] = field(default_factory=list)

    @property
    def blocks(self) -> bool:
        """Whether later stages wait for a person to start it."""
        allowed = self.entries.get("allow_failure")
        if allowed is not None:
            return allowed.value is False
        return self.admission.rules is not None  # `when: manual` of the job itself may be passed over
