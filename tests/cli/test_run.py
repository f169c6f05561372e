"""`policyd run`: from a pipeline to the manifest and the release, and every way a stage can fail."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Released
from tests.cli.workshop import HEAD, Said, Workshop, on_terminal, one_stage

pytestmark = pytest.mark.xdist_group("cli-released")

Json = dict[str, Any]


@pytest.fixture(autouse=True)
def _needs_bwrap(bwrap: Path) -> None: ...


@pytest.fixture
def restored(shop: Workshop) -> Iterator[Workshop]:
    """The shared workshop; its pipeline is put back."""
    before = (shop.project / "pipeline.yaml").read_text()
    yield shop
    shop.write(before)


def run_one(shop: Workshop, text: str, *options: str) -> Said:
    shop.write(text)
    return shop.call("run", "pipeline.yaml", "--format", "json", *options)


def statement(shop: Workshop, sha256: str) -> Json:
    """Return the statement in a bundle of the store."""
    bundle = json.loads(shop.object(sha256).read_bytes())
    document = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    assert isinstance(document, dict)
    return document


def test_a_run_says_what_it_does_on_stderr_and_how_it_ended_on_stdout(released: Released) -> None:
    said = released.shop.call("run", "pipeline.yaml").require(0)

    assert said.out.splitlines()[0].startswith("succeeded  test")
    assert "released greeting to local, summary sha256:" in said.out
    for start in (
        "plan      sha256:",
        "check     allow: ",
        "start     build",
        "manifest  signed",
        "release   greeting",
    ):
        assert any(line.startswith(start) for line in said.err.splitlines()), said.err
    assert "start" not in said.out


def test_the_answer_as_json_names_everything_by_digest(released: Released) -> None:
    run = released.run

    assert run["schema"] == "policyd.run/v1"
    assert run["exit_code"] == 0
    assert run["manifest"]["succeeded"]
    for sha256 in (released.manifest_sha256, released.summary_sha256, *run["manifest"]["decisions"]):
        assert released.shop.object(sha256).is_file()
    assert released.artifact.read_text() == "hello\n"


def test_the_release_decision_and_the_summary_are_about_the_artifact(released: Released) -> None:
    (sha256,) = {one["sha256"] for one in released.run["released"]}
    summary = statement(released.shop, released.summary_sha256)
    *_, decision_sha256 = (one["digest"]["sha256"] for one in summary["predicate"]["inputAttestations"])
    decision = statement(released.shop, decision_sha256)

    assert [subject["digest"]["sha256"] for subject in summary["subject"]] == [sha256]
    assert [subject["digest"]["sha256"] for subject in decision["subject"]] == [sha256]
    assert decision["predicate"]["artifact_sha256"] == sha256
    assert decision["predicate"]["target"] == "local"
    assert summary["predicate"]["verificationResult"] == "PASSED"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (one_stage("exit 3"), "ended with exit code 3"),
        (one_stage("kill -9 $$"), "exit code 137"),
        (one_stage("sleep 60", "timeout: 1s"), "took longer than 1 s"),
        (one_stage('touch "$OUT/extra"'), "does not declare: 'extra'"),
        (one_stage("'true'", "outputs: [{name: a, path: a.txt}]"), "did not leave a (a.txt)"),
        (one_stage('ln -s /etc/passwd "$OUT/a"', "outputs: [{name: a, path: a}]"), "'a'"),
        (one_stage('mkfifo "$OUT/a"', "outputs: [{name: a, path: a}]"), "'a'"),
        (one_stage("'true'", "results: [{name: r, kind: junit, path: r.xml}]"), "did not leave r (r.xml)"),
        (one_stage('echo x > "$OUT/r.xml"', "results: [{name: r, kind: junit, path: r.xml}]"), "no junit result"),
        (one_stage('echo "{" > "$OUT/r"', "results: [{name: r, kind: json, path: r}]"), "r"),
        (HEAD + "  - {name: a, kind: build, run: [[/no/such/program]]}\n", "exit code 12"),
    ],
    ids=[
        *("exit", "signal", "timeout", "undeclared", "missing", "link", "fifo", "no result"),
        *("no junit", "no json", "no program"),
    ],
)
def test_a_stage_that_fails_ends_the_run_with_5_and_says_why(restored: Workshop, text: str, expected: str) -> None:
    run = run_one(restored, text).require(5).json

    (stage,) = run["manifest"]["stages"]
    assert stage["state"] == "failed"
    assert expected in stage["reason"]
    assert not run["manifest"]["succeeded"]
    assert run["released"] == []
    # Whatever it did is attested: a failure leaves as much to look at as a success.
    assert stage["attestations"]
    assert stage["log_sha256"]
    shown = restored.call("show", run["manifest"]["run_id"]).require(0).out
    assert expected in " ".join(shown.split())


def test_a_stage_that_prints_a_hundred_megabytes_is_stopped_and_its_log_is_bounded(restored: Workshop) -> None:
    run = run_one(restored, one_stage("head -c 100000000 /dev/zero | tr '\\0' x")).require(5).json

    (stage,) = run["manifest"]["stages"]
    assert stage["reason"] == "printed more than a log may hold"
    log = restored.store / "logs" / run["manifest"]["run_id"] / "build.log"
    assert log.stat().st_size < 100_000_000
    assert "build | xxxxxxxxxx" in restored.call("logs", run["manifest"]["run_id"][:12]).require(0).out


def test_what_needs_a_failed_stage_is_skipped_and_the_rest_runs(restored: Workshop) -> None:
    text = HEAD + "".join(
        f"  - {{name: {name}, kind: build, run: {run}, needs: [{needs}]}}\n"
        for name, run, needs in (("bad", "exit 1", ""), ("after", "'true'", "bad"), ("beside", "'true'", ""))
    )

    run = run_one(restored, text).require(5).json

    states = {stage["name"]: stage["state"] for stage in run["manifest"]["stages"]}
    assert states == {"bad": "failed", "after": "skipped", "beside": "succeeded"}


def intervals(shop: Workshop, run_id: str) -> list[tuple[str, str]]:
    """Return when each stage started and ended, as recorded."""
    events = [one["event"] for one in shop.call("show", run_id, "--format", "json").json["events"]]
    times: dict[str, list[str]] = {}
    for event in events:
        if event["kind"] in ("stage_started", "stage_ended"):
            times.setdefault(event["stage"], []).append(event["at"])
    return sorted((start, end) for start, end in times.values())


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_independent_stages_run_side_by_side_up_to_jobs(restored: Workshop, jobs: str) -> None:
    text = HEAD + "".join(f"  - {{name: {name}, kind: build, run: sleep 0.7}}\n" for name in ("a", "b"))

    run = run_one(restored, text, "--jobs", jobs).require(0).json

    (_, first_end), (second_start, _) = intervals(restored, run["manifest"]["run_id"])
    assert (second_start < first_end) is (jobs == "2")


def test_a_stage_sees_no_more_than_the_plan_names(restored: Workshop) -> None:
    text = one_stage("env; ls /; id -u; cat data.txt && exit 9; ls -A; ls -A /inputs", name="look", kind="scan")

    os.environ["POLICYD_TEST_SECRET"] = "swordfish"
    try:
        run = run_one(restored, text).require(0).json
    finally:
        del os.environ["POLICYD_TEST_SECRET"]
    log = restored.call("logs", run["manifest"]["run_id"]).require(0).out

    assert "swordfish" not in log
    assert "POLICYD_SETTINGS" not in log
    assert "POLICYD_KEY_PASSWORD" not in log
    assert "look | root" not in log
    assert str(restored.home) not in log


def test_without_a_sandbox_that_is_said_everywhere_and_nothing_is_released(restored: Workshop) -> None:
    said = restored.call("run", "pipeline.yaml", "--sandbox", "none", "--format", "json").require(1)

    run = said.json
    assert run["manifest"]["succeeded"]
    assert run["manifest"]["builder_id"].endswith("/local/unsandboxed")
    assert {stage["sandbox"] for stage in run["manifest"]["stages"]} == {"none"}
    _, *admissions = run["manifest"]["decisions"]
    for sha256 in admissions:
        assert statement(restored, sha256)["predicate"]["weakened"] == ["stages run without a sandbox"]
    (build,) = (stage for stage in run["manifest"]["stages"] if stage["name"] == "build")
    predicates = {
        one["predicateType"]: one["predicate"] for one in (statement(restored, a) for a in build["attestations"])
    }
    assert predicates["https://slsa.dev/provenance/v1"]["runDetails"]["builder"]["id"].endswith("/local/unsandboxed")
    assert predicates["https://in-toto.io/attestation/link/v0.3"]["environment"] == {"sandbox": "none"}
    assert [one.get("summary_sha256") for one in run["released"]] == [None]
    assert "release   greeting to local: refused" in said.err
    assert "does not list the builder" in run["released"][0]["reason"]


def test_a_target_that_is_not_configured_is_said_before_anything_runs(restored: Workshop) -> None:
    before = len(restored.call("runs", "--format", "json").json["runs"])
    text = (restored.project / "pipeline.yaml").read_text().replace("target: local", "target: nowhere")

    said = run_one(restored, text).require(2)

    said.require_error("there is no target called nowhere", "stage publish", str(restored.settings))
    assert said.out == ""
    assert len(restored.call("runs", "--format", "json").json["runs"]) == before


def test_a_tool_that_is_not_configured_or_not_there_is_said_before_anything_runs(restored: Workshop) -> None:
    restored.write(one_stage("'true'", "tools: [{name: gadget}]"))
    restored.call("run", "pipeline.yaml").require_one_error(
        2, "no folder is configured for the tool gadget", "stage build"
    )
    restored.write(one_stage("'true'", "tools: [{name: python, lock: no.txt}]"))
    restored.call("run", "pipeline.yaml").require_one_error(2, "no.txt", "is not in the source tree")


def test_an_untested_product_is_not_released(restored: Workshop) -> None:
    text = (restored.project / "pipeline.yaml").read_text().replace('tests="1" failures="0"', 'tests="1" failures="1"')

    run = run_one(restored, text.replace('name="greets"/', 'name="greets"><failure/></testcase')).json

    assert run["exit_code"] == 1
    states = {stage["name"]: stage["state"] for stage in run["manifest"]["stages"]}
    assert states == {"test": "succeeded", "sbom": "succeeded", "build": "succeeded", "publish": "denied"}
    assert run["released"] == []


def test_live_progress_on_a_terminal_shows_no_escape_of_a_stage(restored: Workshop) -> None:
    """docs/threats.md, T6 and T24."""
    restored.write(
        one_stage(r"printf '\033]0;owned\007\033[2J::set-output name=x::y\n##[error]no\n'; sleep 0.3; exit 1")
    )

    said = on_terminal(restored, "run", "pipeline.yaml", typed={}, env={}).require(5)

    assert "\x1b]0;owned" not in said.out
    assert "\x1b[2J" not in said.out
    assert "\n::set-output" not in said.out
    assert "##[error]" not in said.out
    assert "ended with exit code 1" in said.out


def test_a_store_below_the_workspace_of_a_stage_is_out_of_its_reach(restored: Workshop) -> None:
    """docs/threats.md, T25."""
    run = run_one(restored, one_stage(f"cat {restored.places.config}/keys/builder.key", kind="scan")).require(5).json

    log = restored.call("logs", run["manifest"]["run_id"]).out
    assert "PRIVATE KEY" not in log
    assert "No such file or directory" in log
