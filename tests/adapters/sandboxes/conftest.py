"""A stage to try things in: real bubblewrap, real folders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from policyd.adapters.sandboxes.bwrap import BwrapSandbox
from policyd.adapters.sandboxes.workspace import Workspace, open_workspace
from policyd.run.ports import Job, JobResult, Sandbox

STAGE_UID = 60_790
WORKSPACES = Path("/var/tmp")


@dataclass
class Stage:
    """One stage's sandbox and folders; `run` gives what it printed."""

    sandbox: Sandbox
    workspace: Workspace
    output: list[bytes] = field(default_factory=list)

    def try_argvs(self, *argvs: tuple[str, ...], timeout_seconds: float = 20, **more: Any) -> JobResult:
        job = Job("build", argvs, self.workspace.folders, timeout_seconds, **more)
        self.output.clear()
        return self.sandbox.run(job, on_output=self.output.append)

    def try_python(self, program: str, **more: Any) -> JobResult:
        return self.try_argvs(("/usr/bin/python3", "-I", "-c", program), **more)

    def try_sh(self, script: str, **more: Any) -> JobResult:
        return self.try_argvs(("/bin/sh", "-c", script), **more)

    @property
    def said(self) -> str:
        return b"".join(self.output).decode(errors="replace")

    @property
    def out(self) -> Path:
        return self.workspace.root / "out"


WithStage = Callable[[Callable[[Stage], None]], Callable[[], None]]


@pytest.fixture
def with_stage(bwrap: Path) -> WithStage:
    """Return what turns a test of a stage into an act that any user can do."""

    def wrap(test: Callable[[Stage], None]) -> Callable[[], None]:
        def act() -> None:
            sandbox = BwrapSandbox(bwrap, STAGE_UID)
            with open_workspace(WORKSPACES, sandbox.stage_uid) as workspace:
                test(Stage(sandbox, workspace))

        return act

    return wrap
