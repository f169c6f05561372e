"""`policyd runs`, `show` and `logs`: what the store remembers, escaped."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Released
from tests.cli.workshop import Workshop, one_stage

pytestmark = pytest.mark.xdist_group("cli-released")


def test_runs_are_listed_the_newest_first(released: Released) -> None:
    text = released.shop.call("runs").require(0).out
    runs = released.shop.call("runs", "--format", "json").require(0).json

    assert text.splitlines()[0].split() == ["RUN", "PIPELINE", "STATE", "STARTED"]
    assert runs["schema"] == "policyd.runs/v1"
    assert released.run_id in [run["run_id"] for run in runs["runs"]]
    times = [run["started_at"] for run in runs["runs"]]
    assert times == sorted(times, reverse=True)
    assert len(released.shop.call("runs", "--limit", "1", "--format", "json").json["runs"]) == 1


def test_an_empty_store_has_no_runs(fresh: Workshop) -> None:
    assert fresh.call("runs").require(0).out == "no runs in this store\n"
    assert fresh.call("runs", "--format", "json").require(0).json["runs"] == []
    fresh.call("show", "abcd").require_one_error(2, "no run starts with 'abcd'")
    fresh.call("logs", "abcd").require_one_error(2, "no run starts with 'abcd'")
    fresh.call("record", "verify").require_one_error(2, "there is no record here", "run a pipeline first")
    fresh.call("verify", "data.txt").require_one_error(2, "there is no record here", "run a pipeline first")


def test_a_run_is_named_by_the_beginning_of_its_id(released: Released) -> None:
    for name in (released.run_id, released.run_id[:8]):
        said = released.shop.call("show", name).require(0)
        assert said.out.startswith(f"run {released.run_id}  demo  succeeded\n")
        assert released.shop.call("logs", name, "test").require(0).err == "test printed nothing\n"


@pytest.mark.parametrize("name", ["", "a", "zzzzzz", "../../etc", "\x1b[31m", "0" * 33, "%", "____"])
def test_a_run_that_is_not_there_is_said(released: Released, name: str) -> None:
    for command in ("show", "logs"):
        said = released.shop.call(command, "--", name).require_one_error(2, "run")
        assert "\x1b" not in said.err


def test_show_has_stages_products_results_and_events(released: Released) -> None:
    said = released.shop.call("show", released.run_id).require(0)
    document = released.shop.call("show", released.run_id, "--format", "json").require(0).json

    for text in ("greeting  6 bytes  sha256:", "claims that it passed", "run_started", "manifest", "summary"):
        assert text in said.out
    assert document["manifest"]["run_id"] == released.run_id
    assert document["events"][0]["event"]["kind"] == "run_started"
    assert document["events"][0]["number"] == 1


HOSTILE = (
    r"""printf '\033[2J\033]0;owned\007title\n\342\200\256bidi\n::add-mask::x\n##vso[task.setvariable]y\r\n\377\n'"""
)


def test_hostile_output_of_a_stage_is_shown_escaped_and_prefixed(fresh: Workshop, bwrap: object) -> None:
    """docs/threats.md, T6 and T24."""
    fresh.write(one_stage(HOSTILE, name="evil", kind="scan"))
    progress = fresh.call("run", "pipeline.yaml").require(0).err
    (run,) = fresh.call("runs", "--format", "json").json["runs"]

    logs = fresh.call("logs", run["run_id"]).require(0).out

    assert logs.splitlines() == [
        "evil | \\x1b[2J\\x1b]0;owned\\x07title",
        "evil | \\u202ebidi",
        "evil | \\x3a:add-mask::x",
        "evil | \\x23#vso[task.setvariable]y",
        "evil | \ufffd",
    ]
    for line in logs.splitlines():
        assert line in progress


def test_a_line_of_megabytes_comes_in_pieces(fresh: Workshop, bwrap: object) -> None:
    fresh.write(one_stage("head -c 3000000 /dev/zero | tr '\\0' x", name="long", kind="scan"))
    fresh.call("run", "pipeline.yaml").require(0)
    (run,) = fresh.call("runs", "--format", "json").json["runs"]

    lines = fresh.call("logs", run["run_id"]).require(0).out.splitlines()

    assert len(lines) > 40
    assert all(line.startswith("long | ") for line in lines)
    assert max(map(len, lines)) < 20_000


def test_stages_of_another_run_or_outside_are_not_logs(released: Released) -> None:
    for stage in ("nope", "../../record/record", "/etc/passwd", "test.log", ""):
        released.shop.call("logs", released.run_id, stage).require(2)
