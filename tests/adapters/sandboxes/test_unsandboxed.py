"""Without a sandbox: what policyd still promises, and that it does not pretend to more."""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from policyd.adapters.sandboxes import reaper
from policyd.adapters.sandboxes.mountable import can_reach
from policyd.adapters.sandboxes.unsandboxed import Unsandboxed
from policyd.adapters.sandboxes.workspace import open_workspace
from policyd.errors import SandboxError, SandboxUnavailable
from policyd.run.ports import Job, Killed, ToolMount
from tests.adapters.conftest import ORDINARY_UID, _directly

As = Callable[[Callable[[], None]], None]


@pytest.fixture(autouse=True)
def _readable_for_the_user(request: pytest.FixtureRequest) -> None:
    """Skip the user's variant where the checkout lies out of his reach: his Python has to read the supervisor."""
    asked = request.fixturenames
    as_user = "as_user" in asked or ("identity" in asked and request.getfixturevalue("identity") is not _directly)
    if as_user and os.geteuid() == 0 and not can_reach(Path(reaper.__file__).parent, ORDINARY_UID):
        pytest.skip(f"uid {ORDINARY_UID} can't read this checkout")


class Stage:
    def __init__(self, folder: Path) -> None:
        # The Python of a virtual environment may lie where an ordinary user of these tests can't go.
        self.sandbox = Unsandboxed(60_790, "/usr/bin/python3")
        self.opened = open_workspace(folder, self.sandbox.stage_uid)
        self.output: list[bytes] = []

    def __enter__(self) -> Stage:
        self.workspace = self.opened.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        self.opened.__exit__(None, None, None)

    def try_argvs(self, *argvs: tuple[str, ...], timeout_seconds: float = 20, **more: Any) -> Any:
        self.output.clear()
        job = Job("build", argvs, self.workspace.folders, timeout_seconds, **more)
        return self.sandbox.run(job, on_output=self.output.append)

    @property
    def said(self) -> str:
        return b"".join(self.output).decode()


def stage() -> Stage:
    return Stage(Path("/var/tmp"))


def test_it_calls_itself_none() -> None:
    assert Unsandboxed(60_790).mode == "none"


def test_commands_run_in_turn_in_the_folders_their_environment_names(
    identity: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLICYD_KEY_PASSWORD", "secret")

    def test() -> None:
        with stage() as one:
            script = 'test "$PWD" = "$WORK" && touch "$OUT/a" "$HOME/b" "$TMPDIR/c" && ls "$INPUTS" "$TOOLS/kit" && env'
            result = one.try_argvs(
                ("sh", "-c", script), ("sh", "-c", "exit 5"), ("touch", "never"), tools=(ToolMount("kit", "/usr/lib"),)
            )

            assert (result.exit_code, result.killed) == (5, None)
            assert "secret" not in one.said
            assert (one.workspace.root / "out" / "a").stat().st_uid in (60_790, os.geteuid())
            assert not (one.workspace.root / "work" / "never").exists()

    identity(test)


def test_as_root_a_stage_runs_as_the_uid_kept_for_stages(root: None, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("PRIVATE KEY")
    key.chmod(0o600)

    with stage() as one:
        assert one.try_argvs(("id", "-u"), ("id", "-G")).succeeded
        assert one.said == "60790\n60790\n"
        assert not one.try_argvs(("cat", str(key))).succeeded
        assert "PRIVATE" not in one.said


def test_a_process_that_detached_itself_is_gone_when_the_stage_is(identity: As) -> None:
    seconds = f"9{secrets.randbelow(10**8):08d}"

    def test() -> None:
        with stage() as one:
            detached = f"setsid sh -c 'setsid sleep {seconds} & sleep {seconds}' >/dev/null 2>&1 &"
            assert one.try_argvs(("sh", "-c", f"{detached} sleep {seconds} & echo done")).succeeded
            assert one.said == "done\n"
            assert not _processes(seconds)

    identity(test)


def test_a_stage_over_time_is_ended(identity: As) -> None:
    seconds = f"9{secrets.randbelow(10**8):08d}"

    def test() -> None:
        with stage() as one:
            result = one.try_argvs(
                ("sh", "-c", f"trap '' TERM; setsid sleep {seconds} & sleep {seconds}"), timeout_seconds=0.5
            )
            assert (result.exit_code, result.killed) == (None, Killed.TIMEOUT)
            assert not _processes(seconds)

    identity(test)


def test_a_stage_that_prints_too_much_is_ended() -> None:
    with stage() as one:
        result = one.try_argvs(("yes",), max_output_bytes=10_000)

        assert (result.killed, result.output_bytes, len(one.said)) == (Killed.OUTPUT, 10_000, 10_000)


def test_killing_policyd_ends_its_stage(identity: As) -> None:
    seconds = f"9{secrets.randbelow(10**8):08d}"

    def test() -> None:
        with stage() as one:
            child = os.fork()
            if child == 0:
                one.try_argvs(("sh", "-c", f"setsid sleep {seconds} & sleep {seconds}"))
                os._exit(0)
            try:
                _wait_until(lambda: len(_processes(f"sleep\0{seconds}")) == 2)
            finally:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
            _wait_until(lambda: not _processes(seconds))

    identity(test)


def test_a_stage_that_kills_its_supervisor_has_no_outcome(as_user: As) -> None:
    """A user can't keep his own processes from each other; what can't be known is not claimed."""

    def test() -> None:
        with stage() as one, pytest.raises(SandboxError, match="supervisor"):
            one.try_argvs(("sh", "-c", "kill -9 $PPID; sleep 1"))

    as_user(test)


def test_as_root_a_stage_can_not_kill_its_supervisor(root: None) -> None:
    with stage() as one:
        result = one.try_argvs(("sh", "-c", "kill -9 $PPID; exit 3"))

        assert result.exit_code == 3


def test_stages_never_run_as_root() -> None:
    with pytest.raises(SandboxUnavailable):
        Unsandboxed(0)


def _processes(part_of_command_line: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if part_of_command_line.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                pass
    return found


def _wait_until(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
