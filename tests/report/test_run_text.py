"""Plans, runs and verifications on a terminal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from policyd.models.decision import Decision, Verdict
from policyd.models.manifest import Manifest, Product, ResultSummary, StageRecord, StageState
from policyd.models.pipeline import Output, Result, ResultKind, StageKind
from policyd.models.plan import Plan, PlannedStage, PlannedTool, PolicySetRef, Requester, SourceTree
from policyd.models.records import Event, EventKind
from policyd.report.run_text import (
    RunRow,
    render_checks,
    render_events,
    render_plan,
    render_run,
    render_run_summary,
    render_runs,
)

Golden = Callable[[str, str], None]
EVIL = "\x1b[2Jx\u202e\n::add-mask::y"


@dataclass(frozen=True, slots=True)
class Check:
    number: int
    name: str
    passed: bool
    detail: str


@pytest.fixture
def plan() -> Plan:
    build = PlannedStage(
        name="build",
        kind=StageKind.BUILD,
        needs=(),
        argvs=(
            (
                "/bin/bash",
                "-euo",
                "pipefail",
                "-c",
                "python -m build --no-isolation\ncp dist/* $OUT/\n" + "# long " * 40,
            ),
        ),
        source=True,
        products=(),
        outputs=(Output(name="wheel", path="*.whl", type="wheel"),),
        results=(),
        tools=(PlannedTool(name="python", kind="lock", path="requirements.txt", sha256="4" * 64),),
        env={"SOURCE_DATE_EPOCH": "1"},
        timeout_seconds=600,
        target=None,
        definition_sha256="5" * 64,
    )
    test = build.model_copy(
        update={
            "name": "test",
            "kind": StageKind.TEST,
            "needs": ("build",),
            "argvs": (("pytest", "-q"), ("true",)),
            "source": ("tests/**", "pyproject.toml"),
            "products": ("build.wheel",),
            "outputs": (),
            "results": (Result(name="junit", kind=ResultKind.JUNIT, path="junit.xml"),),
            "tools": (),
            "env": {},
        }
    )
    return Plan(
        pipeline="python-package",
        pipeline_path="pipeline.yaml",
        pipeline_sha256="6" * 64,
        policy_set=PolicySetRef(name="baseline", sha256="a" * 64),
        settings_sha256="7" * 64,
        trust_policy_sha256="8" * 64,
        source=SourceTree(sha256="9" * 64, files=12, commit="c" * 40, clean=False),
        requester=Requester(identity="ada@example.org", verified=False),
        governance="self",
        builder_id="https://example.org/builders/local/bwrap",
        sandbox="bwrap",
        helpers={"bwrap": "b" * 64},
        stages=(build, test),
    )


@pytest.fixture
def manifest() -> Manifest:
    stages = (
        StageRecord(
            name="build", kind=StageKind.BUILD, definition_sha256="5" * 64, attempt=1, state=StageState.SUCCEEDED,
            exit_code=0, sandbox="bwrap",
            products=(Product(output="wheel", path="demo-1.0-py3-none-any.whl", type="wheel", sha256="d" * 64,
                              size=4096),),
        ),
        StageRecord(
            name="test", kind=StageKind.TEST, definition_sha256="5" * 64, attempt=2, state=StageState.FAILED,
            exit_code=1, sandbox="bwrap", reason="the command ended with exit code 1",
            results=(ResultSummary(name="junit", kind="junit", path="junit.xml", sha256="e" * 64, passed=False,
                                   counts={"tests": 7, "failures": 1}),),
        ),
        StageRecord(
            name="release", kind=StageKind.DEPLOY, definition_sha256="5" * 64, attempt=0, state=StageState.SKIPPED,
            reason="test did not succeed",
        ),
    )  # fmt: skip
    return Manifest(
        run_id="0123456789abcdef" * 2,
        pipeline="python-package",
        plan_sha256="f" * 64,
        governance="operator",
        builder_id="https://example.org/builders/local/bwrap",
        started_at="2026-11-23T13:00:00Z",
        finished_at="2026-11-23T13:00:09Z",
        succeeded=False,
        stages=stages,
        decisions=("1" * 64, "2" * 64),
        attestations=("3" * 64,),
        checkpoint="example.org/log\n7\n",
    )


def test_a_plan_shows_every_stage_and_the_decision(
    plan: Plan, make_decision: Callable[..., Decision], golden: Golden
) -> None:
    text = render_plan(plan, make_decision(Verdict.ALLOW))

    assert text.startswith(f"plan sha256:{plan.sha256}\n")
    golden("plan.txt", text.replace(plan.sha256, "<plan>"))


def test_a_plan_nobody_judged_says_so(plan: Plan) -> None:
    assert render_plan(plan, None).endswith("not judged  this plan has no decision yet\n")


def test_a_run_and_its_summary(manifest: Manifest, golden: Golden) -> None:
    golden("run.txt", render_run(manifest))
    golden("run-summary.txt", render_run_summary(manifest))


def test_a_verification_shows_each_check(golden: Golden) -> None:
    checks = [
        Check(1, "the manifest is signed by the builder", True, "key 3f9a"),
        Check(2, "the plan bytes hash to the plan digest", False, "the store has other bytes"),
    ]

    golden("verify-refused.txt", render_checks("demo-1.0-py3-none-any.whl", checks))


@pytest.mark.parametrize("checks", [[], [Check(1, "a", True, ""), Check(2, "b", False, "")]])
def test_nothing_is_verified_unless_there_were_checks_and_all_held(checks: list[Check]) -> None:
    assert "\nnot verified" in "\n" + render_checks("x", checks)
    assert "\nverified" not in "\n" + render_checks("x", checks)


def test_verified_when_all_held() -> None:
    assert render_checks("x", [Check(1, "a", True, "")]).endswith("verified  x: all 1 check held\n")


def test_runs_are_a_table(golden: Golden) -> None:
    rows = [
        RunRow("0123456789abcdef" * 2, "python-package", "succeeded", "2026-11-23T13:00:00Z"),
        RunRow("fedcba9876543210" * 2, "legacy", "interrupted", "2026-11-22T08:15:00Z"),
    ]

    golden("runs.txt", render_runs(rows))
    assert render_runs([]) == "no runs in this store\n"


def test_events_are_what_is_left_of_an_interrupted_run(golden: Golden) -> None:
    events = [
        Event(kind=EventKind.RUN_STARTED, at="2026-11-23T13:00:00Z"),
        Event(kind=EventKind.STAGE_ENDED, at="2026-11-23T13:00:05Z", stage="build", state="failed", detail="exit 1"),
        Event(kind=EventKind.DECISION, at="2026-11-23T13:00:06Z", stage="test", verdict="deny"),
    ]

    golden("events.txt", render_events(events))
    assert render_events([]) == "the record has no entry\n"


def test_hostile_words_do_nothing_anywhere(plan: Plan, manifest: Manifest) -> None:
    stage = plan.stages[0].model_copy(update={"argvs": ((EVIL,),), "env": {EVIL: EVIL}})
    hostile_plan = plan.model_copy(
        update={"pipeline_path": EVIL, "stages": (stage,), "requester": Requester(identity=EVIL, verified=True)}
    )
    product = Product(output="wheel", path=EVIL, type=EVIL, sha256="d" * 64, size=1)
    record = manifest.stages[0].model_copy(update={"reason": EVIL, "products": (product,), "sandbox": EVIL})
    hostile_manifest = manifest.model_copy(update={"stages": (record,), "builder_id": EVIL})

    for text in (
        render_plan(hostile_plan, None),
        render_run(hostile_manifest),
        render_run_summary(hostile_manifest),
        render_events([Event(kind=EventKind.DECISION, at=EVIL, detail=EVIL, state=EVIL, stage=EVIL)]),
        render_runs([RunRow(EVIL, EVIL, EVIL, EVIL)]),
        render_checks(EVIL, [Check(1, EVIL, True, EVIL)]),
    ):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert not [line for line in text.splitlines() if line.lstrip().startswith("::")]
