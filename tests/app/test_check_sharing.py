"""Several processes that share a check say what one says, and where one of them fails, one process says it all."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest

from policyd.app.check import Checked, check
from policyd.app.check_sharing import MIN_SHARE, count_processes
from policyd.app.check_sources import Source, find_sources
from policyd.pipeline.reading import ReadPipeline
from policyd.report.decision_json import render_check_json
from policyd.report.findings import Unreadable

NOW = datetime(2027, 6, 1, tzinfo=UTC)
CALLED = """\
on: {workflow_call: {inputs: {title: {type: string}}}}
permissions: {}
jobs:
  say:
    runs-on: ubuntu-24.04
    steps: [{run: 'echo ${{ inputs.title }}'}]
"""
CALLER = """\
on: pull_request_target
permissions: {contents: read}
jobs:
  call:
    uses: ./.github/workflows/called.yml
    with: {title: '${{ github.event.pull_request.title }}'}
    secrets: inherit
"""
OTHER = """\
on: push
permissions: {}
jobs:
  a: {runs-on: ubuntu-24.04, steps: [{uses: actions/checkout@v4}, {run: make %d}]}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project with enough workflows to share, some tied to each other, and one that can't be read."""
    folder = tmp_path / "project" / ".github" / "workflows"
    folder.mkdir(parents=True)
    (tmp_path / "project" / ".git").mkdir()
    (folder / "called.yml").write_text(CALLED)
    for number in range(2 * MIN_SHARE):
        (folder / f"w{number}.yml").write_text(OTHER % number)
    for number in range(3):
        (folder / f"caller{number}.yml").write_text(CALLER)
    (folder / "broken.yml").write_text("on: push\njobs: [\n")
    monkeypatch.chdir(tmp_path / "project")
    return Path()


def _check(project: Path) -> Checked:
    return check([project], settings=None, engine=None, fail_on=None, now=NOW)


def _said(checked: Checked) -> str:
    return render_check_json(checked.findings, checked.catalogue)


def _share(monkeypatch: pytest.MonkeyPatch, processes: int) -> list[int]:
    """Have checks shared by so many, also where the test has threads; return where each sharing writes itself down."""
    shared: list[int] = []

    def counted(sources: list[Source]) -> int:
        shared.append(processes)
        return processes

    monkeypatch.setattr("policyd.app.check.count_processes", counted)
    return shared


@pytest.mark.parametrize("processes", [2, 3])
def test_several_processes_say_what_one_says(project: Path, monkeypatch: pytest.MonkeyPatch, processes: int) -> None:
    _share(monkeypatch, 1)
    alone = _check(project)

    shared = _share(monkeypatch, processes)
    together = _check(project)

    assert shared == [processes]
    assert _said(together) == _said(alone)
    assert together.exit_code == alone.exit_code == 3  # the one that can't be read
    calls = [found for found in together.findings.violations() if found.rule == "injection.untrusted_call"]
    assert len(calls) == 3  # seen only by who knows both files, and those lie in different shares


def test_a_process_that_dies_changes_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _share(monkeypatch, 1)
    alone = _check(project)
    parent, read = os.getpid(), Source.read

    def die(source: Source) -> ReadPipeline | Unreadable:
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return read(source)

    monkeypatch.setattr(Source, "read", die)
    _share(monkeypatch, 2)

    assert _said(_check(project)) == _said(alone)


def test_an_error_in_a_process_is_said_by_one(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stops a check in a shared process stops it in the end."""

    def stop(source: Source) -> ReadPipeline | Unreadable:
        raise ValueError(source.shown)

    monkeypatch.setattr(Source, "read", stop)
    _share(monkeypatch, 2)

    with pytest.raises(ValueError, match="broken"):
        _check(project)


def test_no_process_is_left(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    fork = os.fork

    def counted() -> int:
        pid = fork()
        started.append(pid)
        return pid

    monkeypatch.setattr("os.fork", counted)
    _share(monkeypatch, 2)
    _check(project)

    assert len(started) == 1
    with pytest.raises(ProcessLookupError):
        os.kill(started[0], 0)


def test_few_files_and_named_ones_stay_in_one_process(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("threading.active_count", lambda: 1)
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {0, 1}, raising=False)
    everything = list(find_sources([project]))
    named = list(find_sources(sorted((project / ".github" / "workflows").glob("w*.yml"))))

    assert count_processes(everything) == 2
    assert count_processes(everything[: 2 * MIN_SHARE - 1]) == 1
    assert len(named) == 2 * MIN_SHARE
    assert count_processes(named) == 1


def test_a_process_with_threads_is_not_forked(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("threading.active_count", lambda: 2)

    assert count_processes(list(find_sources([project]))) == 1
