"""Start a sandbox, hold on to it from its first moment, and let go only when nothing in it is left.

The order of steps in `run_isolated` carries three promises:

- Nothing of a stage runs unless policyd can end it, and it dies with policyd, even by `kill -9`.
- What the sandbox's own set-up says is never taken for a word of the stage, nor its failure for the stage's.
- When `run_isolated` returns, every process of the stage is gone. Waiting for bwrap would not do: it leaves when the
  first process does, and the others live on for a moment (docs/threats.md, T35).
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from policyd.adapters.sandboxes.script import READY, commands_script, opening_script
from policyd.errors import SandboxError
from policyd.run.ports import JobResult, Killed, never

START_SECONDS = 30.0  # bwrap takes 5 ms; a machine that swaps may take longer
GONE_SECONDS = 30.0  # for the kernel to end all processes of a killed namespace
_TICK_SECONDS = 0.2  # how often `should_stop` is asked
_READ_BYTES = 64 * 1024
_MAX_COMPLAINT_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Isolation:
    """How bwrap is called. `uid` is set where policyd is root and must become somebody else first."""

    bwrap: Path
    uid: int | None
    arguments: tuple[str, ...]
    files: Mapping[str, bytes]  # copied to these paths in the sandbox, world-readable
    seccomp: bytes
    environment: Mapping[str, str]


def run_isolated(
    isolation: Isolation,
    argvs: Sequence[Sequence[str]],
    *,
    timeout_seconds: float,
    max_output_bytes: int,
    on_output: Callable[[bytes], None],
    should_stop: Callable[[], bool] = never,
) -> JobResult:
    """Run `argvs` in turn in one new sandbox and return when all its processes are gone.

    Raises `SandboxError` where the sandbox could not be set up, or its end is not known.
    """
    commands = commands_script(argvs, isolation.environment)
    with ExitStack() as stack:
        # 1. Start bwrap as the unprivileged uid, in an empty environment: what a pipeline declares (LD_PRELOAD…)
        #    comes with the commands and never reaches bwrap, which is still outside.
        process, info = _start(isolation, stack)
        init: tuple[int, int] | None = None  # pidfd, pid
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            _send(process, opening_script())
            deadline = time.monotonic() + START_SECONDS
            # 2. Wait for the sandbox's word that it stands. What comes instead was said by its set-up.
            await_ready(process.stdout.fileno(), deadline)
            # 3. Get hold of the namespace's first process: when it ends, the kernel ends all others before it.
            init = _hold_init(process, info)
            # 4. Wait until that first process will die with bwrap, and bwrap dies with us.
            _await_tied(init[1], deadline)
            # 5. Only now let it have the commands.
            ending = follow(
                process,
                commands,
                gone=init[0],
                kill=partial(_kill, init[0]),
                timeout_seconds=timeout_seconds,
                max_output_bytes=max_output_bytes,
                on_output=on_output,
                should_stop=should_stop,
            )
        finally:
            # 6. Whatever happened: end what is left and wait until it is gone.
            _end(process, None if init is None else init[0])
        # 7. Only now is the exit code worth something.
        return _result(process.returncode, ending)


@dataclass(frozen=True, slots=True)
class Ending:
    """Why `follow` ended the stage, if it did, and how much it had printed."""

    killed: Killed | None
    output_bytes: int


def _start(isolation: Isolation, stack: ExitStack) -> tuple[subprocess.Popen[bytes], int]:
    # bwrap says the pid of the first process here. No pipe: if we died, writing to it would kill bwrap in the one
    # moment in which it leaves a child behind that waits for ever. (A `kill -9` of ours in those microseconds still
    # can: what is left then is bwrap's own process before its set-up, and nothing of the stage.)
    info = os.memfd_create("policyd", os.MFD_CLOEXEC)
    stack.callback(os.close, info)
    with ExitStack() as handed_over:

        def memory(content: bytes) -> int:
            descriptor = os.memfd_create("policyd", os.MFD_CLOEXEC)
            handed_over.callback(os.close, descriptor)
            os.write(descriptor, content)
            os.lseek(descriptor, 0, os.SEEK_SET)
            return descriptor

        files: list[str] = []
        descriptors = [info]
        for path, content in isolation.files.items():
            descriptors.append(memory(content))
            files += ["--perms", "0444", "--file", str(descriptors[-1]), path]
        descriptors.append(memory(isolation.seccomp))
        arguments = [
            *("--unshare-all", "--unshare-user", "--disable-userns", "--cap-drop", "ALL"),
            *("--new-session", "--die-with-parent", "--clearenv"),
            *("--seccomp", str(descriptors[-1]), "--info-fd", str(info)),
            *files,
            *isolation.arguments,
        ]
        descriptors.append(memory(b"".join(argument.encode() + b"\0" for argument in arguments)))
        become = {} if isolation.uid is None else {"user": isolation.uid, "group": isolation.uid, "extra_groups": []}
        try:
            process = subprocess.Popen(  # type: ignore[call-overload]  # mypy loses track of the keyword arguments
                [isolation.bwrap, "--args", str(descriptors[-1]), "--", "/bin/sh"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={},
                cwd="/",
                bufsize=0,
                pass_fds=descriptors,
                **become,
            )
        except OSError as error:
            raise SandboxError(
                f"bwrap could not be started: {(error.strerror or str(error)).lower()}",
                where=str(isolation.bwrap),
                fix="policyd doctor says what this machine lacks",
            ) from error
    assert isinstance(process, subprocess.Popen)
    stack.callback(_close, process)
    return process, info


def _send(process: subprocess.Popen[bytes], script: bytes) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # what went wrong is said elsewhere
        process.stdin.write(script)


def _hold_init(process: subprocess.Popen[bytes], info: int) -> tuple[int, int]:
    try:
        pid = int(json.loads(os.pread(info, 4096, 0))["child-pid"])
        descriptor = os.pidfd_open(pid)
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise _no_start(b"it does not say which process it began with") from error
    # It waits for its commands; were it gone all the same, another process might have its number by now.
    if _parent(pid) != process.pid:
        os.close(descriptor)
        raise _no_start(b"its first process is gone")
    return descriptor, pid


def _parent(pid: int) -> int:
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes()
        return int(state.rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return -1


def await_ready(output: int, deadline: float) -> None:
    """Wait for the first word of `opening_script`; raise `SandboxError` with what came instead."""
    first = _read_before(output, deadline, 1)
    if first != READY:
        raise _no_start(first + _rest(output))


def _await_tied(pid: int, deadline: float) -> None:
    # bwrap's init asks to die with bwrap and *then* loads the filter, so a filter there proves both (bubblewrap.c,
    # do_init). Its own process did so before it told us the pid.
    while True:
        try:
            if b"\nSeccomp:\t2\n" in Path(f"/proc/{pid}/status").read_bytes():
                return
        except OSError as error:
            raise _no_start(b"its first process is gone") from error
        if time.monotonic() > deadline:
            raise _no_start(b"its first process runs without the syscall filter")
        time.sleep(0.0002)


def follow(
    process: subprocess.Popen[bytes],
    commands: bytes,
    *,
    gone: int,
    kill: Callable[[], None],
    timeout_seconds: float,
    max_output_bytes: int,
    on_output: Callable[[bytes], None],
    should_stop: Callable[[], bool],
) -> Ending:
    """Feed the commands in, hand the output on, and stop the stage when it is over time or over its output.

    Returns when the pidfd `gone` says that the stage is gone, or `GONE_SECONDS` after `kill` did not make it so.
    """
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, output = process.stdin.fileno(), process.stdout.fileno()
    os.set_blocking(stdin, False)
    os.set_blocking(output, False)
    waiting = select.poll()
    for descriptor, event in ((stdin, select.POLLOUT), (output, select.POLLIN), (gone, select.POLLIN)):
        waiting.register(descriptor, event)
    deadline = time.monotonic() + timeout_seconds
    rest, seen, killed = memoryview(commands), 0, None
    while True:
        now = time.monotonic()
        reason: Killed | None = None
        if killed is not None and now >= deadline:
            return Ending(killed, seen)
        if killed is None and now >= deadline:
            reason = Killed.TIMEOUT
        elif killed is None and should_stop():
            reason = Killed.STOPPED
        else:
            ready = dict(waiting.poll(1000 * max(0.0, min(_TICK_SECONDS, deadline - now))))
            if stdin in ready:
                rest = _write_some(stdin, rest)
                if not rest:
                    waiting.unregister(stdin)
                    process.stdin.close()
            if output in ready or gone in ready:
                chunk = _read_some(output)
                if chunk and killed is None:
                    allowed = chunk[: max_output_bytes - seen]
                    seen += len(allowed)
                    on_output(allowed)
                    reason = Killed.OUTPUT if len(allowed) < len(chunk) else None
                elif not chunk and gone in ready:
                    return Ending(killed, seen)  # all that was printed has been read
                elif not chunk:
                    waiting.unregister(output)  # closed by all who had it
        if reason is not None:
            killed, deadline = reason, now + GONE_SECONDS
            kill()


def _write_some(descriptor: int, rest: memoryview) -> memoryview:
    try:
        return rest[os.write(descriptor, rest) :]
    except BlockingIOError:
        return rest
    except BrokenPipeError:
        return rest[:0]  # the shell is gone; its exit code tells


def _read_some(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _READ_BYTES)
    except BlockingIOError:
        return b""


def _kill(init: int) -> None:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(init, signal.SIGKILL)


def _end(process: subprocess.Popen[bytes], init: int | None) -> None:
    try:
        if init is not None:
            _kill(init)
        elif process.poll() is None:
            process.kill()
        try:
            process.wait(GONE_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise _not_gone() from error
        # A pidfd becomes readable when the process has ended, and the first of a namespace ends last: the kernel has
        # it wait for all others (Linux, kernel/pid_namespace.c, zap_pid_ns_processes).
        if init is not None and not select.select([init], [], [], GONE_SECONDS)[0]:
            raise _not_gone()
    finally:
        if init is not None:
            os.close(init)


def _close(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):
                stream.close()


def _result(returncode: int, ending: Ending) -> JobResult:
    if ending.killed is not None:
        return JobResult(None, ending.killed, ending.output_bytes)
    if returncode < 0:
        raise SandboxError(
            f"bwrap itself was killed by signal {-returncode}, so how the stage ended is not known",
            where="the sandbox",
            fix="see whether the machine ran out of memory, and run the stage again",
        )
    return JobResult(returncode, None, ending.output_bytes)


def _read_before(descriptor: int, deadline: float, count: int = _MAX_COMPLAINT_BYTES) -> bytes:
    if not select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
        raise _no_start(b"it did not come up in time")
    return os.read(descriptor, count)


def _rest(output: int) -> bytes:
    """Return what the set-up complained of, as far as it comes soon."""
    said, deadline = b"", time.monotonic() + 2
    while len(said) < _MAX_COMPLAINT_BYTES and select.select([output], [], [], max(0, deadline - time.monotonic()))[0]:
        chunk = os.read(output, _MAX_COMPLAINT_BYTES)
        if not chunk:
            break
        said += chunk
    return said


def _no_start(complaint: bytes) -> SandboxError:
    text = complaint.decode(errors="replace").strip() or "it ended without a word"
    return SandboxError(
        f"the sandbox could not be set up: {text}",
        where="bwrap",
        fix="policyd doctor says what this machine lacks",
    )


def _not_gone() -> SandboxError:
    return SandboxError(
        "processes of the stage can't be ended, so what it left may still change",
        where="the sandbox",
        fix="look for processes in uninterruptible sleep (a hanging file system), then run the stage again",
    )
