"""Stages without a sandbox, for `--sandbox none`: a clean environment, folders of their own, an end of all processes.

This is no isolation. Such a stage has the network, reads what its user may read, and with that uid can reach other
stages. As root it at least runs as the uid kept for stages, so keys and the store stay out of its reach. Builder id,
attestation and decision say that there was no sandbox.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from policyd.adapters.sandboxes import reaper
from policyd.adapters.sandboxes.layout import program_folders, stage_environment
from policyd.adapters.sandboxes.script import commands_script, opening_script
from policyd.adapters.sandboxes.supervise import GONE_SECONDS, START_SECONDS, await_ready, follow
from policyd.errors import SandboxError, SandboxUnavailable
from policyd.models.plan import SandboxMode
from policyd.run.ports import Job, JobResult, never


class Unsandboxed:
    """Runs stages as plain processes. `stage_uid` is used where policyd is root."""

    mode: SandboxMode = "none"

    def __init__(self, stage_uid: int, python: str = sys.executable) -> None:
        if stage_uid <= 0:
            raise SandboxUnavailable(
                "stages may not run as root", where="stage_uid", fix="set it to a uid that nothing else uses"
            )
        if not sys.platform.startswith("linux"):
            raise SandboxUnavailable(
                "stages run on Linux only", where=sys.platform, fix="use policyd run on a Linux machine"
            )
        self._python = python
        self.stage_uid: int | None = stage_uid if os.geteuid() == 0 else None

    def run(
        self, job: Job, *, on_output: Callable[[bytes], None], should_stop: Callable[[], bool] = never
    ) -> JobResult:
        """Run the commands of `job`; return when no process it started is left."""
        folders = job.folders
        places = {
            "WORK": folders.work,
            "OUT": folders.out,
            "INPUTS": folders.inputs,
            "TOOLS": folders.tools,
            "HOME": folders.home,
            "TMPDIR": folders.tmp,
        }
        if job.target is not None:
            places["TARGET"] = job.target.folder
        for tool in job.tools:
            os.symlink(tool.folder, f"{folders.tools}/{tool.name}")
        environment = stage_environment(job, places=places, path=program_folders(job, folders.tools))
        commands = commands_script(job.argvs, environment)

        status, status_writer = os.pipe2(os.O_CLOEXEC)
        try:
            process = self._start(folders.work, status_writer)
        finally:
            os.close(status_writer)
        gone = os.pidfd_open(process.pid)
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            with suppress(BrokenPipeError):
                process.stdin.write(opening_script())
            await_ready(process.stdout.fileno(), time.monotonic() + START_SECONDS)
            ending = follow(
                process,
                commands,
                gone=gone,
                kill=partial(_end, gone),
                timeout_seconds=job.timeout_seconds,
                max_output_bytes=job.max_output_bytes,
                on_output=on_output,
                should_stop=should_stop,
            )
        finally:
            _end(gone)
            with suppress(subprocess.TimeoutExpired):
                process.wait(GONE_SECONDS)
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
            os.close(gone)
            code = _read_status(status)
        if code is None:
            raise SandboxError(
                "the stage ended its own supervisor, so its processes may still be there",
                where="the stage",
                fix="run it in a sandbox",
            )
        if ending.killed is not None:
            return JobResult(None, ending.killed, ending.output_bytes)
        return JobResult(code, None, ending.output_bytes)

    def _start(self, folder: str, status: int) -> subprocess.Popen[bytes]:
        uid = -1 if self.stage_uid is None else self.stage_uid
        program = str(Path(reaper.__file__))
        try:
            return subprocess.Popen(
                [self._python, "-I", "-S", program, str(status), str(os.getpid()), str(uid), folder],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={},
                bufsize=0,
                pass_fds=(status,),
                start_new_session=True,
            )
        except OSError as error:
            raise SandboxError(
                f"a stage can't be started: {(error.strerror or str(error)).lower()}",
                where=self._python,
                fix="check that this Python is still there",
            ) from error


def _end(gone: int) -> None:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(gone, signal.SIGTERM)


def _read_status(status: int) -> int | None:
    """Return the exit code, or None where the reaper did not get to say that nothing is left."""
    os.set_blocking(status, False)
    try:
        said = os.read(status, 16)
    except BlockingIOError:
        said = b""
    finally:
        os.close(status)
    return int(said) if said.isdigit() else None
