"""A run that is stopped or killed: its processes are gone, what it did can be looked at, and the next one works."""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.workshop import Workshop, await_none, finish, one_stage, processes_with, wait_for

pytestmark = pytest.mark.xdist_group("cli-interrupted")

#: A leftover younger than a minute may be about to be locked; here nobody is.
WITHOUT_GRACE = "import policyd.adapters.sandboxes.workspace as w\nw._SETTLED_SECONDS = 0"

SLOW = """\
policyd: pipeline/v1
name: demo
stages:
  - name: quick
    kind: build
    run: echo quick > "$OUT/quick"
    outputs: [{{name: quick, path: quick}}]
  - name: slow
    kind: build
    needs: [quick]
    run: |
      echo begun
      sleep {mark} & sleep {mark}
  - name: never
    kind: build
    needs: [slow]
    run: echo never
"""


@dataclass
class Started:
    """A run in the middle of its stage `slow`."""

    shop: Workshop
    process: subprocess.Popen[str]
    mark: str

    @property
    def workspaces(self) -> list[Path]:
        return list((self.shop.home / "workspaces").iterdir())


@pytest.fixture
def started(fresh: Workshop, bwrap: Path, request: pytest.FixtureRequest) -> Iterator[Started]:
    """Parametrised by the options of `policyd run`."""
    options: list[str] = getattr(request, "param", [])
    (fresh.home / "workspaces").mkdir(mode=0o711)
    with fresh.settings.open("a") as file:
        file.write(f'workspaces: "{fresh.home}/workspaces"\n')
    mark = f"{300 + secrets.randbelow(99)}.{secrets.randbits(64)}"
    fresh.write(SLOW.format(mark=mark))
    process = fresh.start("run", "pipeline.yaml", *options)
    wait_for(process, "slow | begun")
    yield Started(fresh, process, mark)
    process.kill()
    process.communicate()


def only_run(shop: Workshop) -> dict[str, str]:
    (run,) = shop.call("runs", "--format", "json").require(0).json["runs"]
    assert isinstance(run, dict)
    return run


@pytest.mark.parametrize("started", [[], ["--sandbox", "none"]], indirect=True, ids=["bwrap", "none"])
def test_a_policyd_that_is_killed_leaves_no_process_and_a_run_to_look_at(started: Started) -> None:
    shop = started.shop
    assert processes_with(started.mark)

    said = finish(started.process, signal.SIGKILL)

    assert said.code == -signal.SIGKILL
    assert said.out == ""
    assert await_none(started.mark), "the stage outlived policyd"
    run = only_run(shop)
    assert run["state"] == "unfinished"
    assert "unfinished, no manifest: it releases nothing" in shop.call("show", run["run_id"]).require(0).out
    stages = shop.call("show", run["run_id"], "--format", "json").require(0).json["stages"]
    assert {stage["name"]: stage["state"] for stage in stages} == {"quick": "succeeded", "slow": "interrupted"}
    assert shop.call("logs", run["run_id"], "slow").require(0).out == "slow | begun\n"
    assert shop.call("record", "verify", "--format", "json").require(0).json["evidence_problems"] == []

    # The next run records what became of the first, removes what it left, and works.
    shop.write(one_stage("'true'"))
    again = shop.policyd("run", "pipeline.yaml", script=WITHOUT_GRACE).require(0)

    assert f"run {run['run_id']} had died: recorded as interrupted" in again.err
    states = {one["run_id"]: one["state"] for one in shop.call("runs", "--format", "json").json["runs"]}
    assert states.pop(run["run_id"]) == "interrupted"
    assert list(states.values()) == ["succeeded"]
    assert started.workspaces == []
    shop.call("record", "verify").require(0)


def test_a_policyd_that_is_killed_at_any_moment_leaves_a_record_that_verifies(fresh: Workshop, bwrap: Path) -> None:
    fresh.policyd("run", "pipeline.yaml").require(0)
    for step in range(4):
        process = fresh.start("run", "pipeline.yaml")
        time.sleep(0.4 + 0.15 * step)
        finish(process, signal.SIGKILL)

        report = fresh.call("record", "verify", "--format", "json").require(0).json
        assert report["evidence_problems"] == []
    fresh.call("run", "pipeline.yaml").require(0)

    states = {run["state"] for run in fresh.call("runs", "--format", "json").json["runs"]}
    assert states <= {"succeeded", "interrupted"}
    assert "index of runs differs" not in fresh.call("record", "verify").require(0).out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_told_to_stop_ends_recorded(started: Started, number: signal.Signals) -> None:
    shop = started.shop

    said = finish(started.process, number).require(5)

    assert await_none(started.mark, 0.1), "policyd ended before its stage"
    assert "interrupted" in said.out
    assert "Traceback" not in said.err
    run = only_run(shop)
    assert run["state"] == "interrupted"
    manifest = shop.call("show", run["run_id"], "--format", "json").require(0).json["manifest"]
    assert not manifest["succeeded"]
    assert {stage["name"]: stage["state"] for stage in manifest["stages"]} == {
        "quick": "succeeded",
        "slow": "interrupted",
        "never": "skipped",
    }
    assert started.workspaces == []
    shop.call("record", "verify").require(0)
    # What the stage before had left is no release.
    product = shop.home / "quick"
    product.write_text("quick\n")
    shop.call("verify", product).require(1).require_error("did not succeed")


def test_a_living_run_is_left_alone_by_the_next_one(started: Started) -> None:
    shop = started.shop
    assert only_run(shop)["state"] == "running"
    shop.write(one_stage("'true'"))

    other = shop.policyd("run", "pipeline.yaml", script=WITHOUT_GRACE).require(0)

    assert "had died" not in other.err
    assert len(started.workspaces) == 1
    states = [one["state"] for one in shop.call("runs", "--format", "json").json["runs"]]
    assert states == ["succeeded", "running"]
    finish(started.process, signal.SIGINT).require(5)


def test_a_signal_that_the_caller_ignores_stays_ignored(fresh: Workshop, bwrap: Path) -> None:
    """`nohup policyd run` survives the terminal."""
    fresh.write(one_stage("echo begun; sleep 1; echo ended"))
    process = subprocess.Popen(
        ["/bin/sh", "-c", 'trap "" HUP; exec "$0" -m policyd run pipeline.yaml', sys.executable],
        cwd=fresh.project,
        env=fresh.environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(process, "build | begun")

    finish(process, signal.SIGHUP).require(0)


def test_a_reader_that_goes_away_does_not_end_the_run(fresh: Workshop, bwrap: Path) -> None:
    fresh.write(one_stage("for i in $(seq 2000); do echo line $i; done; sleep 0.2; echo ended"))
    process = fresh.start("run", "pipeline.yaml")
    wait_for(process, "build | line 1")
    assert process.stderr is not None
    process.stderr.close()

    assert process.stdout is not None
    process.stdout.read()
    process.stdout.close()
    assert process.wait(60) == 0
    run = only_run(fresh)
    assert run["state"] == "succeeded"
    assert fresh.call("logs", run["run_id"]).out.endswith("build | ended\n")
