"""What each rule of the library costs the embedded engine, so that whoever writes rules sees it.

On the pipeline of `benchmarks.decisions`, with the engine warm. A rule is asked alone; what the cheapest one takes is
the price of handing over the input, and is taken off.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from benchmarks.decisions import JOBS, STEPS, render_workflow
from benchmarks.figures import fastest
from policyd.adapters.engines.embedded import EmbeddedEngine
from policyd.adapters.library import library_files
from policyd.app.judging import make_pipeline_input, make_repository
from policyd.models.decision import Gate
from policyd.pipeline.reading import read_pipeline
from policyd.policy.judged_input import write_input
from policyd.policy.policy_set import read_policy_set
from policyd.policy.selecting import select_rules

_TIMES = 10
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def measure() -> Iterator[str]:
    """Give the cost of all rules at once, of handing over the input, and of each rule, the costliest first."""
    policy_set = read_policy_set(library_files(), name="policyd-library")
    pipeline = read_pipeline(".github/workflows/many.yml", render_workflow().encode())
    rules = select_rules(policy_set, Gate.PIPELINE, dialect=pipeline.ref.dialect)
    document = make_pipeline_input(pipeline, make_repository([pipeline]), governance="self", now=_NOW)
    content = write_input(document, where="benchmark").content
    entrypoints = [rule.entrypoint for rule in rules]
    with EmbeddedEngine(policy_set) as engine:
        together, *alone = fastest(
            lambda: engine.query(entrypoints, content),
            *(lambda entrypoint=entrypoint: engine.query([entrypoint], content) for entrypoint in entrypoints),
            times=_TIMES,
        )
    handing_over = min(alone)
    yield f"{len(rules)} rules on {JOBS} jobs of {STEPS} steps ({len(content) // 1000} kB), embedded engine:"
    yield f"{1000 * together:8.2f} ms  all at once"
    yield f"{1000 * handing_over:8.2f} ms  handing over the input"
    for took, rule in sorted(zip(alone, rules, strict=True), key=lambda each: -each[0]):
        yield f"{1000 * (took - handing_over):8.2f} ms  {rule.id}"
