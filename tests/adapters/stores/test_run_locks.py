from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from policyd.adapters.stores.run_locks import RunLocks
from policyd.errors import StoreError, UsageError

RUN = "a" * 32


@pytest.fixture
def locks(tmp_path: Path) -> RunLocks:
    return RunLocks(tmp_path)


def test_a_run_is_held_until_it_is_released(locks: RunLocks, tmp_path: Path) -> None:
    assert not locks.is_held(RUN)

    with locks.hold(RUN):
        assert locks.is_held(RUN)
        with pytest.raises(StoreError, match="still going on"):
            locks.hold(RUN)

    assert not locks.is_held(RUN)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_holds_nothing(locks: RunLocks, tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from policyd.adapters.stores.run_locks import RunLocks;"
        "lock = RunLocks(Path(sys.argv[1])).hold(sys.argv[2]); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path), RUN], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert locks.is_held(RUN)
        process.send_signal(signal.SIGKILL)

    assert not locks.is_held(RUN)
    assert (tmp_path / f"{RUN}.lock").exists()


def test_a_forked_child_does_not_keep_the_run(locks: RunLocks) -> None:
    lock = locks.hold(RUN)
    reader, writer = os.pipe()
    started, starting = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.write(starting, b"x")
        os.read(reader, 1)
        os._exit(0)
    os.close(reader)
    assert os.read(started, 1) == b"x"

    lock.close()  # what the death of the parent does

    assert not locks.is_held(RUN)
    os.close(writer)
    os.waitpid(child, 0)


def test_what_is_no_run_id_never_becomes_a_path(locks: RunLocks) -> None:
    with pytest.raises(UsageError, match="not a run id"):
        locks.hold("../../../tmp/x")
