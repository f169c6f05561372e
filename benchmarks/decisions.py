"""How long a decision takes when the engine is warm: the whole library on one pipeline, beside a real OPA server.

The pipeline is a workflow of 10 jobs with 20 steps each. A decision is everything from the parsed pipeline on: its
input made to bytes, every rule asked, answers weighed. Both engines go through the same function and have to agree.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.commands import ROOT
from benchmarks.figures import Figure, fastest
from policyd.adapters.engines.embedded import EmbeddedEngine
from policyd.adapters.engines.opa import OpaEngine
from policyd.adapters.library import library_files
from policyd.app.judging import make_pipeline_input, make_repository
from policyd.models.decision import Decision, Gate
from policyd.pipeline.reading import ReadPipeline, read_pipeline
from policyd.policy.asking import ask
from policyd.policy.catalogue import RuleMeta
from policyd.policy.engine import PolicyEngine
from policyd.policy.judged_input import write_input
from policyd.policy.policy_set import PolicySet, read_policy_set
from policyd.policy.selecting import select_rules

JOBS = 10
STEPS = 20
_TIMES = 60
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def measure() -> Iterator[Figure]:
    """Measure a decision of each engine."""
    policy_set = read_policy_set(library_files(), name="policyd-library")
    pipeline = read_pipeline(".github/workflows/many.yml", render_workflow().encode())
    rules = select_rules(policy_set, Gate.PIPELINE, dialect=pipeline.ref.dialect)
    opa = find_opa()
    with ExitStack() as stack:
        engines: list[PolicyEngine] = [stack.enter_context(EmbeddedEngine(policy_set))]
        if opa is None:
            print("OPA is not here: see tools/go-tools.sh", file=sys.stderr)
        else:
            engines.append(stack.enter_context(OpaEngine(policy_set, opa)))
        decisions = [_decide(engine, policy_set, rules, pipeline) for engine in engines]
        if len({(decision.verdict, decision.violations) for decision in decisions}) != 1 or decisions[0].problems:
            raise SystemExit(f"the engines do not agree: {[decision.verdict for decision in decisions]}")
        document = make_pipeline_input(pipeline, make_repository([pipeline]), governance="self", now=_NOW)
        content = write_input(document, where="benchmark").content
        entrypoints = [rule.entrypoint for rule in rules]
        took = fastest(
            *(lambda engine=engine: _decide(engine, policy_set, rules, pipeline) for engine in engines),
            *(lambda engine=engine: engine.query(entrypoints, content) for engine in engines),
            times=_TIMES,
        )
    count = len(engines)
    for name, (embedded, *others) in (
        (f"decision: {len(rules)} rules, {JOBS} jobs of {STEPS} steps", took[:count]),
        (f"the question in it: {len(content) // 1000} kB", took[count:]),
    ):
        yield Figure(
            name,
            1000 * embedded,
            "ms",
            budget=1000 * others[0] / 2 if others else None,
            peer="the same with an OPA server",
            peer_value=1000 * others[0] if others else None,
        )


def render_workflow(jobs: int = JOBS, steps: int = STEPS) -> str:
    """Return a workflow of so many jobs and steps in each: actions and scripts in turn, a few of them wrong."""
    lines = ["name: many", "on: [push, pull_request]", "permissions: {contents: read}", "jobs:"]
    for job in range(jobs):
        lines += [f"  job-{job}:", "    runs-on: ubuntu-24.04", "    timeout-minutes: 10"]
        lines += [f"    needs: [job-{job - 1}]"] if job else []
        lines.append("    steps:")
        for step in range(0, steps, 2):
            used = "actions/checkout@v4" if step == 0 else f"docker/metadata-action@{'0a1b' * 10}  # v1.2.{step}"
            lines.append(f"      - uses: {used}")
            lines.append(f"      - run: make target-{step} COMMIT=${{{{ github.sha }}}} | tee log-{step}.txt")
    return "\n".join((*lines, ""))


def find_opa() -> Path | None:
    """Return the OPA that tools/go-tools.sh built, else one of the system."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "policyd-tools"
    for line in (ROOT / "tools" / "versions.txt").read_text().splitlines():
        if line.startswith("opa "):
            built = cache / f"opa-{line.rpartition('@')[2]}" / "opa"
            if built.is_file():
                return built
    found = shutil.which("opa")
    return Path(found) if found else None


def _decide(
    engine: PolicyEngine, policy_set: PolicySet, rules: tuple[RuleMeta, ...], pipeline: ReadPipeline
) -> Decision:
    return ask(
        engine,
        policy_set,
        rules,
        make_pipeline_input(pipeline, make_repository([pipeline]), governance="self", now=_NOW),
        gate=Gate.PIPELINE,
        subject=pipeline.ref.path,
        now=_NOW,
        locate=pipeline.source_map.place,
        governance="self",
    )
