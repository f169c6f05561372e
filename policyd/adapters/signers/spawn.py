"""Starts the signing process. Imports next to nothing, so that it can be started before everything else.

The process takes as long to import what it needs as policyd itself; started first, it does so at the same time.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from policyd.adapters.closing import Closing
from policyd.errors import SigningFailed

#: How long an answer may take: a person may have to touch a device, a service may be far away.
TIMEOUT_SECONDS = 120.0
_END_SECONDS = 5.0

_WORKER = Path(__file__).with_name("signing_worker.py")


@dataclass(frozen=True, slots=True)
class Worker(Closing):
    """A signing process without keys, and our end of the socket to it. A context manager."""

    channel: socket.socket
    process: subprocess.Popen[bytes]

    def close(self) -> None:
        """End the process; its keys go with it."""
        with suppress(OSError):
            self.channel.shutdown(socket.SHUT_RDWR)
        self.channel.close()
        try:
            self.process.wait(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def spawn_worker() -> Worker:
    """Start a signing process; `SigningFailed` where that can't be done."""
    ours, theirs = socket.socketpair()
    ours.settimeout(TIMEOUT_SECONDS)
    try:
        process = subprocess.Popen(
            [*python_command(_WORKER), str(theirs.fileno()), module_folders()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={
                "LC_ALL": "C.UTF-8",
                "PYDANTIC_DISABLE_PLUGINS": "__all__",
                **({"POLICYD_DEBUG": "1"} if os.environ.get("POLICYD_DEBUG") else {}),
            },
            cwd="/",
            pass_fds=[theirs.fileno()],
        )
    except OSError as error:
        ours.close()
        raise SigningFailed(
            f"the signing process can't be started: {(error.strerror or str(error)).lower()}",
            where=sys.executable,
            fix="check that this user can start Python again",
        ) from error
    finally:
        theirs.close()
    return Worker(ours, process)


def python_command(script: Path) -> list[str]:
    """Return the command that runs `script` isolated and without site: nothing outside policyd has a say in it."""
    options = ["-I", "-S", *(["-B"] if sys.dont_write_bytecode else [])]
    if sys.pycache_prefix:
        options += ["-X", f"pycache_prefix={sys.pycache_prefix}"]
    return [sys.executable, *options, str(script)]


def module_folders() -> str:
    """Return, as JSON, the folders that such a script gets modules from: those of this process."""
    # The working directory may be the repository that is judged; `python -m policyd` has it among its folders.
    here, home = os.getcwd(), str(Path(__file__).parents[3])
    return json.dumps([home, *(folder for folder in sys.path if os.path.isabs(folder) and folder != here)])
