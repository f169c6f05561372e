"""The signing process: the runner's keys, `RunSigning`, and one end of a socket.

It is started by file path in Python's isolated mode before anything of a pipeline is read. Its arguments are the number
of the socket and, as JSON, the folders that modules come from. It lives as long as the other end of the socket: when
policyd is gone, so are the keys.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import socket
import sys

_PR_SET_DUMPABLE = 4


def main() -> None:
    """Serve until the socket closes."""
    lock_down()
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.set_inheritable(False)
    sys.path[:] = json.loads(sys.argv[2])
    from policyd.adapters.signers.serving import serve

    try:
        serve(channel)
    except Exception as error:  # the outermost loop: policyd says that this process ended, and what it was doing
        if "POLICYD_DEBUG" in os.environ:
            raise
        sys.exit(f"the signing process failed: {type(error).__name__}")


def lock_down() -> None:
    """Keep the memory of this process to itself: no core dump, and no ptrace or /proc/PID/mem for the same user."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        sys.exit(f"prctl failed: {os.strerror(ctypes.get_errno())}")
    # What stops a run stops policyd, which then still has the end of the run signed.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    main()
