"""Run a shell and do not end before all that it started, however far it detached itself, is ended too.

A program of its own, `python -I -S reaper.py STATUS_FD PARENT UID FOLDER`, for stages without a sandbox: there is no
pid namespace whose end would end them. As a "subreaper" it inherits every orphan below it (Linux, prctl(2)), so none
gets lost. The shell reads its script from standard input. When nothing is left, the shell's exit code is written to
STATUS_FD; when that is empty, it is not known what is left. SIGTERM, and the death of the parent, end everything.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from types import FrameType

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_GIVE_UP_SECONDS = 20.0


class _Stopped(BaseException):
    """Somebody wants all of it to end."""


def main(status: int, parent: int, uid: int, folder: str) -> None:
    """Run the shell as `uid` (-1: as we are) in `folder`; see the module for the rest."""
    signal.signal(signal.SIGTERM, _stop)
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((_PR_SET_CHILD_SUBREAPER, 1), (_PR_SET_PDEATHSIG, signal.SIGTERM)):
        if libc.prctl(option, value, 0, 0, 0) != 0:
            sys.exit(f"prctl({option}) failed: {os.strerror(ctypes.get_errno())}")
    code = 128 + signal.SIGTERM
    try:
        if os.getppid() != parent:  # it died before we asked to be told
            raise _Stopped
        code = _run_shell(uid, folder)
    except _Stopped:
        pass
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if _end_all():
            os.write(status, str(code).encode())


def _run_shell(uid: int, folder: str) -> int:
    if uid < 0:
        shell = subprocess.Popen(["/bin/sh"], env={}, cwd=folder)
    else:
        shell = subprocess.Popen(["/bin/sh"], env={}, cwd=folder, user=uid, group=uid, extra_groups=[])
    code = shell.wait()
    return code if code >= 0 else 128 - code


def _end_all() -> bool:
    """Kill all descendants until there are none; True when there are none."""
    deadline = time.monotonic() + _GIVE_UP_SECONDS
    while time.monotonic() < deadline:
        for pid in _descendants(os.getpid()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return True
        time.sleep(0.001)
    return False


def _descendants(root: int) -> list[int]:
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parents[int(name)] = int(file.read().rpartition(b")")[2].split()[1])
            except (OSError, IndexError, ValueError):
                pass
    found, waiting = [], [root]
    while waiting:
        above = waiting.pop()
        below = [pid for pid, parent in parents.items() if parent == above]
        found += below
        waiting += below
    return found


def _stop(number: int, frame: FrameType | None) -> None:
    raise _Stopped


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
