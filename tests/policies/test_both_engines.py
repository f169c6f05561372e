"""The whole library on pipelines that people write: the samples, the attacks, and the examples of the rules."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from policyd.adapters.engines.both import BothEngines
from policyd.adapters.engines.embedded import EmbeddedEngine
from policyd.adapters.engines.opa import OpaEngine
from policyd.app.check import read_paths
from policyd.app.judging import make_pipeline_input, make_repository
from policyd.models.decision import Gate
from policyd.pipeline.reading import ReadPipeline
from policyd.policy.asking import ask
from policyd.policy.policy_set import PolicySet
from tests.policies.test_examples import EXAMPLES, read_example

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def both(embedded: EmbeddedEngine, opa_engine: OpaEngine) -> BothEngines:
    return BothEngines(embedded, opa_engine)


def pipelines(files: Mapping[str, bytes]) -> list[ReadPipeline]:
    """Every pipeline that can be read among samples and examples; attacks on the reader itself can't be."""
    found: list[ReadPipeline] = []
    for folder in [path for path in (ROOT / "samples").rglob("*") if path.is_dir()]:
        if not any(part.startswith(".") and part != ".github" for part in folder.relative_to(ROOT).parts):
            found += read_paths([folder])[0]
    for example in EXAMPLES:
        found += read_example(example, files)[:1]
    return list({(pipeline.ref.path, pipeline.content): pipeline for pipeline in found}.values())


def test_both_engines_agree_on_every_sample_attack_and_example(
    both: BothEngines, library: PolicySet, files: Mapping[str, bytes]
) -> None:
    rules = [rule for rule in library.catalogue.values() if rule.gate is Gate.PIPELINE]
    broken: set[str] = set()
    read = pipelines(files)

    for pipeline in read:
        decision = ask(
            both,
            library,
            rules,
            make_pipeline_input(pipeline, make_repository([pipeline]), governance="operator", now=NOW),
            gate=Gate.PIPELINE,
            subject=pipeline.ref.path,
            now=NOW,
            locate=pipeline.source_map.place,
            governance="operator",
        )
        assert decision.problems == (), pipeline.ref.path
        broken |= {violation.rule for violation in decision.violations}

    assert len(read) >= 10
    assert len(broken) >= 10
