"""Stages in bubblewrap: namespaces, an empty root, no capabilities, no network, a syscall filter.

As root, policyd first becomes a uid kept for stages, because bwrap started as uid 0 leaves root's files readable and
`core_pattern` writable even in a user namespace (measured, bubblewrap 0.8). As a user, it stays that user, to whom the
namespaces show nothing but what `layout` puts there.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from policyd.adapters.sandboxes.layout import (
    HOSTNAME,
    STAGE_UID_INSIDE,
    Layout,
    program_folders,
    stage_environment,
    stage_layout,
    system_layout,
)
from policyd.adapters.sandboxes.seccomp import assemble_filter
from policyd.adapters.sandboxes.supervise import Isolation, run_isolated
from policyd.errors import SandboxError, SandboxUnavailable
from policyd.models.plan import SandboxMode
from policyd.run.ports import Job, JobResult, never

_PLACES = {
    "WORK": "/work",
    "OUT": "/out",
    "INPUTS": "/inputs",
    "TOOLS": "/tools",
    "TARGET": "/target",
    "HOME": "/home/stage",
    "TMPDIR": "/tmp",  # noqa: S108  # the sandbox's own
}

#: What bwrap says where it can't work → what to do about it.
_REMEDIES = (
    ("nknown option", "install bubblewrap 0.8 or later"),
    ("user namespace", "allow user namespaces: sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone"),
    (
        "uid map",
        "allow bwrap user namespaces: on Ubuntu install an AppArmor profile for bwrap, or set"
        " kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    ("namespace", "allow user namespaces; in a container start it with --security-opt seccomp=unconfined"),
    ("proc", "in a container, start it with --security-opt systempaths=unconfined"),
)


class BwrapSandbox:
    """Runs stages in bubblewrap. `stage_uid` is used where policyd is root."""

    mode: SandboxMode = "bwrap"

    def __init__(self, bwrap: Path, stage_uid: int) -> None:
        if stage_uid <= 0:
            raise SandboxUnavailable(
                "stages may not run as root", where="stage_uid", fix="set it to a uid that nothing else uses"
            )
        self._bwrap = bwrap
        self.stage_uid: int | None = stage_uid if os.geteuid() == 0 else None

    def run(
        self, job: Job, *, on_output: Callable[[bytes], None], should_stop: Callable[[], bool] = never
    ) -> JobResult:
        """Run the commands of `job` in one new sandbox; return when all its processes are gone."""
        layout = self._system
        places = {name: place for name, place in _PLACES.items() if name != "TARGET" or job.target is not None}
        isolation = Isolation(
            bwrap=self._bwrap,
            uid=self.stage_uid,
            arguments=(*identity(), *layout.arguments, *stage_layout(job)),
            files=layout.files,
            seccomp=self._filter,
            environment=stage_environment(job, places=places, path=program_folders(job, "/tools")),
        )
        return run_isolated(
            isolation,
            job.argvs,
            timeout_seconds=job.timeout_seconds,
            max_output_bytes=job.max_output_bytes,
            on_output=on_output,
            should_stop=should_stop,
        )

    def require_working(self) -> None:
        """Start an empty sandbox; raise `SandboxUnavailable` with what to do where this machine can't."""
        layout = self._system
        isolation = Isolation(
            bwrap=self._bwrap,
            uid=self.stage_uid,
            arguments=(*identity(), *layout.arguments, "--proc", "/proc", "--dev", "/dev"),
            files=layout.files,
            seccomp=self._filter,
            environment={},
        )
        said: list[bytes] = []
        try:
            result = run_isolated(
                isolation,
                [["/usr/bin/true"]],
                timeout_seconds=10,
                max_output_bytes=4096,
                on_output=said.append,
            )
        except SandboxError as error:
            fix = next((remedy for word, remedy in _REMEDIES if word in error.cause), error.fix)
            raise SandboxUnavailable(
                error.cause, where=str(self._bwrap), fix=f"{fix}, or accept --sandbox none"
            ) from error
        if not result.succeeded:
            raise SandboxUnavailable(
                f"an empty sandbox ended with {result.exit_code}: {b''.join(said).decode(errors='replace')[:400]}",
                where=str(self._bwrap),
                fix="see whether /usr/bin/true runs on this machine, or accept --sandbox none",
            )

    @cached_property
    def _filter(self) -> bytes:
        return assemble_filter()

    @cached_property
    def _system(self) -> Layout:
        return system_layout()


def identity() -> tuple[str, ...]:
    """Return bwrap's arguments for who a sandboxed process is, as it sees itself."""
    inside = str(STAGE_UID_INSIDE)
    return ("--uid", inside, "--gid", inside, "--hostname", HOSTNAME)
