from __future__ import annotations

import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from policyd.adapters.stores.store import Store, open_store
from policyd.attestation.signing import Signer
from policyd.errors import SettingsError, StoreError, UnsafePermissions, UsageError
from policyd.models.records import Event, EventKind

MakeEvent = Callable[..., Event]
RUN = "a" * 32

KILLED_RUN = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from policyd.adapters.stores.run_locks import RunLocks
lock = RunLocks(Path(sys.argv[1]) / "runs").hold(sys.argv[2])
print("held", flush=True)
time.sleep(60)
"""


def test_the_store_is_for_its_owner_alone(store: Store) -> None:
    for folder in (store.root, *(path for path in store.root.iterdir() if path.is_dir())):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_store_that_others_can_write_is_refused(store: Store, signer: Signer, tmp_path: Path) -> None:
    store.root.chmod(0o777)

    for key in (signer, None):
        with pytest.raises(UnsafePermissions) as raised:
            open_store(store.root, tmp_path / "state", key)
        assert raised.value.where == str(store.root)


def test_a_store_that_is_a_link_is_refused(store: Store, signer: Signer, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(store.root)

    with pytest.raises(UnsafePermissions):
        open_store(tmp_path / "link", tmp_path / "state", signer)


def test_a_state_in_the_store_is_refused(signer: Signer, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="lie in each other"):
        open_store(tmp_path / "store", tmp_path / "store" / "state", signer)

    assert not (tmp_path / "store").exists()


def test_reading_makes_no_store(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no store here"):
        open_store(tmp_path / "store", tmp_path / "state")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.root
def test_reading_needs_no_write_access(mount: Callable[[str], Path], signer: Signer, event: MakeEvent) -> None:
    disk = mount("size=8m")
    with open_store(disk / "store", disk / "state", signer) as store:
        sha256 = store.content.put(b"hello")
        store.record.append([event(1)])
    subprocess.run(["/bin/mount", "-o", "remount,ro", str(disk)], check=True)

    with open_store(disk / "store", disk / "state") as store:
        assert len(store.list_runs(limit=5)) == 1
        assert store.content.get(sha256, max_bytes=5) == b"hello"


def test_a_run_whose_process_was_killed_is_found_and_marked_once(
    store: Store, event: MakeEvent, tmp_path: Path
) -> None:
    script = [sys.executable, "-c", KILLED_RUN, str(store.root), RUN, str(Path.cwd())]
    with subprocess.Popen(script, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        store.record.append(
            [event(run_id=RUN, kind=EventKind.RUN_STARTED, stage=None), event(run_id=RUN, stage="build", attempt=1)]
        )
        assert store.find_unfinished_runs() == ()
        assert store.list_runs(limit=5)[0].state == "running"
        with pytest.raises(StoreError, match="still going on"):
            store.mark_interrupted(RUN, at="2026-01-01T00:00:01Z")
        process.send_signal(signal.SIGKILL)

    (run,) = store.find_unfinished_runs()
    assert run.run_id == RUN
    assert store.list_runs(limit=5)[0].state == "unfinished"

    assert store.mark_interrupted(RUN, at="2026-01-01T00:00:01Z") is not None
    assert store.mark_interrupted(RUN, at="2026-01-01T00:00:02Z") is None

    assert store.find_unfinished_runs() == ()
    view = store.record.require_run(RUN)
    assert (view.run.state, view.stages[0].state) == ("interrupted", "interrupted")
    assert view.events[-1].event.kind is EventKind.RUN_INTERRUPTED


def test_a_run_that_ended_is_not_unfinished(store: Store, event: MakeEvent) -> None:
    with store.lock_run(RUN):
        store.record.append([event(run_id=RUN, kind=EventKind.RUN_STARTED, stage=None)])
        store.record.append([event(run_id=RUN, kind=EventKind.RUN_ENDED, stage=None, state="succeeded")])

    assert store.find_unfinished_runs() == ()
    assert store.list_runs(limit=5)[0].state == "succeeded"
