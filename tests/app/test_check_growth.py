"""A check costs the same for every file, however many lie beside it: one question, and an input of one size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from policyd.adapters.stores.check_cache import CheckCache
from policyd.app.check import judge_all
from policyd.app.check_cache import Known, recall
from policyd.app.check_sources import find_sources, read_sources
from policyd.app.judging import Judge
from policyd.app.policy_layers import load_layers
from policyd.models.decision import EngineRef
from policyd.models.settings import ProjectSettings
from policyd.policy.engine import Answer

NOW = datetime(2027, 6, 1, tzinfo=UTC)
WORKFLOW = """\
on: push
permissions: {}
jobs:
  a: {runs-on: ubuntu-24.04, steps: [{uses: actions/checkout@v4}, {run: make}]}
"""


@dataclass
class CountingEngine:
    """Finds nothing, and counts what it is given."""

    sizes: list[int] = field(default_factory=list)
    ref: EngineRef = field(default_factory=lambda: EngineRef(name="counting", version="0"))

    def query(
        self, entrypoints: Sequence[str], document: bytes, *, meanwhile: Callable[[], object] | None = None
    ) -> Mapping[str, Answer]:
        self.sizes.append(len(document))
        return {one: Answer(value=[]) for one in entrypoints}


def _project(folder: Path, files: int) -> Path:
    workflows = folder / str(files) / ".github" / "workflows"
    workflows.mkdir(parents=True)
    for number in range(files):
        (workflows / f"w{number:03}.yml").write_text(WORKFLOW)
    return folder / str(files)


def _check(folder: Path, files: int) -> tuple[list[int], int]:
    """Return the size of each input, and of what is kept, for so many files."""
    engine = CountingEngine()
    judge = Judge(
        load_layers(None, ProjectSettings(policyd="project/v1"), root=None, now=NOW).bind(), (engine,), "operator"
    )
    root = _project(folder, files)
    sources = list(find_sources([root]))
    read, _ = read_sources(sources)
    findings = judge_all(judge, read, [], NOW)
    cache = folder / f"cache-{files}"
    cache.mkdir()
    kept = recall(CheckCache(cache), judge, sources, root)
    assert kept is not None
    kept.keep([(one.decision, Known.of(each)) for one, each in zip(findings.judged, read, strict=True)])
    content = CheckCache(cache).find(kept.key)
    assert content is not None
    return engine.sizes, len(content)


def test_a_file_costs_the_same_beside_many_others(tmp_path: Path) -> None:
    few, kept_of_few = _check(tmp_path, 10)
    many, kept_of_many = _check(tmp_path, 100)

    assert (len(few), len(many)) == (10, 100)
    assert max(many) <= max(few) + 2 * len("100")  # where the folder's name stands
    assert abs(kept_of_many - 10 * kept_of_few) < kept_of_few
