"""Whatever stands anywhere in a file: facts with places, or an error with a place, and nothing else."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from policyd.errors import DocumentError
from policyd.models.facts import Facts
from policyd.pipeline.linking import link
from policyd.pipeline.reading import ReadPipeline, read_pipeline
from policyd.pipeline.yaml_reader import read_yaml

FIXTURES = Path(__file__).parent / "fixtures"
FOLDER = "ci/azure-pipelines/"
NAMES = ("release.yml", "extends.yml", "templates/scan.yml", "templates/wrap.yml", "templates/variables.yml")
FILES: dict[str, Any] = {name: read_yaml((FIXTURES / name).read_bytes(), where=name) for name in NAMES}
FILES["release.yml"] |= {"lockBehavior": "runLatest", "workspace": {"clean": "all"}}
FILES["more.yml"] = {
    "pr": ["main"],
    "container": {"image": "x", "env": {"A": "b"}, "volumes": ["/a:/b"], "mapDockerSocket": True},
    "services": {"db": {"alias": "x"}},
    "strategy": {"matrix": {"a": {"image": "x"}, "b": {"image": "y"}}},
    "steps": [
        {"${{ if eq(parameters.a, 'b') }}": [{"script": "x"}]},
        {"task": "DownloadPipelineArtifact@2", "inputs": {"source": "specific", "path": "."}},
        {"restoreCache": "k", "path": "x"},
        {"bash": "git checkout $(System.PullRequest.SourceBranch)", "target": {"container": "x"}, "name": "s"},
        "${{ parameters.steps }}",
    ],
    "parameters": {"a": "b", "steps": [{"script": "x"}]},
}

TEXTS = st.sampled_from(
    [
        "",
        ".",
        "/",
        "self",
        "none",
        "templates/scan.yml",
        "../x@y",
        "$(x)",
        "$(",
        "$[ x ]",
        "$[",
        "${{",
        "${{ parameters.steps }}",
        "${{ parameters.jobs }}",
        "${{ each x in parameters.jobs }}",
        "${{ if }}",
        "${{ if eq(1, 1) }}",
        "${{ insert }}",
        "$(Build.SourceVersionMessage)",
        "$[ dependencies.Compile.outputs['info.title'] ]",
        "$[ eq(variables.isMain, 'true') ]",
        "and(succeeded(), eq(variables['Build.SourceBranch'], 'refs/heads/main'), '${{ parameters.x }}')",
        "echo '##vso[task.setvariable variable=x;isOutput=true]$(x)'",
        "Bash@3",
        "x@sha256:",
        "0",
    ]
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.just(1.5), TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(
            st.sampled_from(
                [
                    "x",
                    "steps",
                    "script",
                    "template",
                    "job",
                    "${{ if eq(variables.x, 1) }}",
                    "${{ each y in x }}",
                    "name",
                ]
            ),
            inner,
            max_size=2,
        ),
    ),
    max_leaves=4,
)


def _places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the paths of all that lies below a value."""
    found: list[tuple[str | int, ...]] = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += [(*path, key), *_places(item, (*path, key))]
    return found


@st.composite
def _changed(draw: st.DrawFn) -> dict[str, Any]:
    files = deepcopy(FILES)
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(sorted(files)))
        places = _places(files[name])
        if not places:
            continue
        steps = draw(st.sampled_from(places))
        parent: Any = files[name]
        for step in steps[:-1]:
            parent = parent[step]
        if draw(st.booleans()) and isinstance(parent, dict):
            parent[draw(TEXTS)] = parent.pop(steps[-1])
        else:
            parent[steps[-1]] = draw(VALUES)
    return files


def _read(path: str, files: dict[str, bytes]) -> ReadPipeline | str:
    """Return the pipeline, or where it is refused."""
    try:
        return read_pipeline(f"{FOLDER}{path}", files[path], lambda name: files.get(name.removeprefix(FOLDER)))
    except DocumentError as error:
        return error.where


@given(_changed())
@settings(max_examples=150, deadline=None)
def test_anything_anywhere_is_facts_or_a_refusal_with_its_place(changed: dict[str, Any]) -> None:
    files = {name: json.dumps(document).encode() for name, document in changed.items()}
    for path in files:
        found = _read(path, files)
        if isinstance(found, str):
            assert found.startswith(FOLDER)
            continue
        (linked,) = link([found])
        for kind in Facts.model_fields:
            for fact in getattr(linked.facts, kind):
                assert linked.source_map.place(fact.at) is not None
        Facts.model_validate_json(linked.facts.model_dump_json())
