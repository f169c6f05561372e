"""Short ways of asking what a file says."""

from __future__ import annotations

from pathlib import Path

from policyd.models.base import JsonPath
from policyd.models.facts import Effect, Expression, Facts, StageFact
from policyd.pipeline.reading import ReadPipeline, read_pipeline

FIXTURES = Path(__file__).parent / "fixtures"

TASK = """\
apiVersion: tekton.dev/v1
kind: Task
metadata: {{name: task}}
spec:
  params:
    - name: text
  steps:
    - name: step
      image: alpine
{0}
"""


def read(text: str, path: str = "ci/file.yaml") -> ReadPipeline:
    """Return a file as it is read."""
    return read_pipeline(path, text.encode())


def read_fixture(name: str, path: str = "") -> ReadPipeline:
    """Return a fixture as it is read."""
    return read_pipeline(path or f"ci/{name}", (FIXTURES / name).read_bytes())


def step(*lines: str) -> Facts:
    """Return the facts of a task with one step, whose further lines are given."""
    return read(TASK.format("".join(f"      {line}\n" for line in lines))).facts


def stage(facts: Facts, name: str) -> StageFact:
    """Return the one stage of this name."""
    (found,) = [one for one in facts.stages if one.name == name]
    return found


def line(pipeline: ReadPipeline, at: JsonPath) -> int:
    """Return the line on which something stands."""
    place = pipeline.source_map.place(at)
    assert place is not None
    return place.line


def scripts(facts: Facts) -> list[Expression]:
    """Return the values that become part of scripts, those of Tekton's own paths left out."""
    return [one for one in facts.expressions if one.sink == "script" and ".path" not in one.text]


def effects(facts: Facts, *kinds: str) -> list[Effect]:
    """Return the effects of these kinds."""
    return [one for one in facts.effects if one.kind in kinds]
