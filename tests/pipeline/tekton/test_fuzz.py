"""Whatever stands anywhere in a file: facts with places, or an error with a place, and nothing else."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from policyd.errors import DocumentError
from policyd.models.facts import Facts
from policyd.pipeline.linking import link
from policyd.pipeline.reading import ReadPipeline, read_pipeline
from policyd.pipeline.tekton.filters import events_named, is_spoofable, narrow
from policyd.pipeline.tekton.marks import find_marks
from policyd.pipeline.yaml_reader import read_yaml_documents
from tests.pipeline.tekton.said import FIXTURES

FILES: list[Any] = [
    read_yaml_documents((FIXTURES / name).read_bytes().replace(b"{{ repo_url }}", b"'{{ repo_url }}'"), where=name)
    for name in ("listener.yaml", "pull-request.yaml", "tasks.yaml")
]
FILES.append(
    [
        {
            "apiVersion": "triggers.tekton.dev/v1alpha1",
            "kind": "EventListener",
            "spec": {
                "triggers": [
                    {"triggerRef": "t"},
                    {
                        "bindings": [{"name": "a", "value": "$(body.x)"}],
                        "template": {"spec": {"params": [{"name": "a"}]}},
                    },
                ],
                "triggerGroups": [{"name": "g", "interceptors": [{"cel": {"filter": "true"}}]}],
            },
        },
        {
            "apiVersion": "triggers.tekton.dev/v1beta1",
            "kind": "Trigger",
            "metadata": {"name": "t"},
            "spec": {
                "interceptors": [{"webhook": {}}],
                "bindings": [{"spec": {"params": []}}],
                "template": {"name": "x"},
            },
        },
        {
            "apiVersion": "tekton.dev/v1beta1",
            "kind": "Pipeline",
            "metadata": {"name": "p"},
            "spec": {
                "params": [{"name": "o", "type": "object", "properties": {"k": {}}, "default": {"k": "v"}}],
                "tasks": [
                    {
                        "name": "m",
                        "matrix": {"params": [{"name": "a", "value": ["x"]}], "include": [{"params": []}]},
                        "taskRef": {"name": "git-clone", "bundle": "x/y:1"},
                        "retries": 2,
                        "onError": "continue",
                    },
                    {
                        "name": "n",
                        "resources": {"inputs": [{"from": ["m"]}]},
                        "taskSpec": {"apiVersion": "x/v1", "spec": {}},
                    },
                    {"name": "q", "pipelineSpec": {"tasks": [{"name": "r", "taskRef": {"resolver": "own"}}]}},
                ],
                "results": [{"name": "z", "value": "$(tasks.m.results.y.k)"}],
            },
        },
    ]
)

TEXTS = st.sampled_from(
    [
        "",
        "$(",
        "$(params.",
        "$(params.title)",
        "$(params['title'])",
        "$(tasks.fetch.results.x)",
        "$(tasks.build.results.x[0])",
        "$(tt.params.title)",
        "$(body)",
        "$(extensions.x)",
        "{{ body.pull_request.title }}",
        "{{",
        "{{ cel: body.x }}",
        "fetch",
        "build",
        "hub",
        "git",
        "tekton.dev/v1",
        "Task",
        "http://[",
        "x@sha256:",
        "a && (b",
        "!body.pull_request.head.repo.fork",
        "#!/usr/bin/env",
        "git fetch origin pull/1/head && make > $(results.label.path)",
        "1h",
        "0",
    ]
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.just(1.5), TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(TEXTS, st.sampled_from(["name", "value", "params", "spec", "steps"])), inner, max_size=3
        ),
    ),
    max_leaves=5,
)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        found += _paths(item, (*path, key))
    return found


PLACES = [(index, path) for index, file in enumerate(FILES) for path in _paths(file) if path]


def _changed(place: tuple[int, tuple[Any, ...]], value: Any) -> list[Any]:
    index, path = place
    file = deepcopy(FILES[index])
    target = file
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    return list(file)


def _read(content: bytes) -> ReadPipeline | str:
    """Return what the file says, or where it is refused."""
    try:
        return read_pipeline(".tekton/file.yaml", content)
    except DocumentError as error:
        return error.where


@settings(deadline=None, max_examples=300)
@given(place=st.sampled_from(PLACES), value=VALUES)
def test_anything_anywhere_gives_facts_with_places_or_an_error_with_a_place(
    place: tuple[int, tuple[Any, ...]], value: Any
) -> None:
    content = "\n---\n".join(json.dumps(document) for document in _changed(place, value)).encode()
    pipeline = _read(content)
    if isinstance(pipeline, str):
        assert pipeline.startswith(".tekton/file.yaml")
        return

    (linked,) = link([pipeline])
    for kind in Facts.model_fields:
        for fact in getattr(linked.facts, kind):
            assert linked.source_map.place(fact.at) is not None
    assert Facts.model_validate_json(linked.facts.model_dump_json()) == linked.facts


@settings(deadline=None, max_examples=300)
@given(text=st.text(alphabet="ab.$(){}[]'\"&|!=, in\n", max_size=60))
def test_any_text_is_a_filter_or_none_and_has_marks_or_none(text: str) -> None:
    assert set(narrow({"push": frozenset()}, text)) <= {"push"}
    events_named(text)
    is_spoofable(text)
    for mark in find_marks(text, templates=True):
        assert 0 <= mark.start < mark.end <= len(text)
