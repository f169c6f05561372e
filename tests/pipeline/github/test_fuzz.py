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

WORKFLOW: dict[str, Any] = {
    "name": "CI",
    "on": {
        "push": {"branches": ["main"], "tags": ["v*"]},
        "pull_request_target": {"types": ["labeled"]},
        "workflow_run": {"workflows": ["CI"]},
        "workflow_dispatch": {"inputs": {"x": {"type": "string"}}},
        "schedule": [{"cron": "1 2 * * *"}],
    },
    "permissions": {"contents": "read"},
    "env": {"A": "${{ github.head_ref }}"},
    "defaults": {"run": {"shell": "bash"}},
    "concurrency": {"group": "x"},
    "jobs": {
        "a": {
            "runs-on": ["self-hosted", "${{ matrix.os }}"],
            "if": "github.event_name == 'push' || contains(github.event.pull_request.labels.*.name, 'x')",
            "needs": ["b"],
            "environment": {"name": "prod"},
            "timeout-minutes": 5,
            "strategy": {"matrix": {"os": ["x"], "include": [{"os": "y"}]}},
            "outputs": {"o": "${{ steps.s.outputs.x }}"},
            "container": {
                "image": "x",
                "options": "--privileged",
                "volumes": ["/a:/b"],
                "credentials": {"username": "u"},
                "env": {"A": "b"},
            },
            "services": {"db": {"image": "x", "ports": [1]}},
            "steps": [
                {"uses": "actions/checkout@v4", "with": {"ref": "${{ github.head_ref }}"}},
                {"id": "s", "run": "echo x=$A >> $GITHUB_OUTPUT", "env": {"B": "x"}, "shell": "bash"},
                {
                    "id": "c",
                    "uses": "prince-chrismc/check-actor-permissions-action@v3",
                    "with": {"permission": "write"},
                },
                {"uses": "actions/github-script@v7", "with": {"script": "core.setOutput('x', context.payload)"}},
                {"uses": "actions/cache@v4", "with": {"path": "x", "key": "y"}},
                {"uses": "actions/download-artifact@v4", "with": {"run-id": "1"}},
                {"uses": "./x", "with": {"y": "${{ inputs.x }}"}, "if": "steps.c.outputs.permitted"},
            ],
        },
        "b": {"uses": "./.github/workflows/ci.yml", "with": {"x": "y"}, "secrets": {"T": "${{ secrets.T }}"}},
    },
}
ACTION: dict[str, Any] = {
    "name": "x",
    "inputs": {"x": {"default": "y"}},
    "outputs": {"o": {"value": "${{ steps.s.outputs.o }}"}},
    "runs": {"using": "composite", "steps": [{"run": "${{ inputs.x }}", "shell": "bash"}, {"uses": "./y"}]},
}
DOCKER: dict[str, Any] = {
    "runs": {"using": "docker", "image": "docker://x", "env": {"A": "b"}, "args": ["${{ inputs.x }}"]}
}
DEPENDABOT: dict[str, Any] = {
    "version": 2,
    "registries": {"r": {"type": "x", "url": "y", "token": "z"}},
    "updates": [
        {"package-ecosystem": "npm", "directories": ["/"], "schedule": {"interval": "daily"}, "registries": ["r"]}
    ],
}
FILES = [
    (".github/workflows/ci.yml", WORKFLOW),
    ("action.yml", ACTION),
    ("x/action.yml", DOCKER),
    (".github/dependabot.yml", DEPENDABOT),
]

TEXTS = st.sampled_from(
    [
        "",
        ".",
        "./",
        "x",
        "inherit",
        "write-all",
        "pull_request_target",
        "actions/checkout@v4",
        "docker://",
        "${{ x }}",
        "${{ github.event.issue.title }}",
        "${{ secrets[x] }}",
        "${{ toJSON(steps) }} ${{ steps }} ${{ needs.x }} ${{ env }} ${{ matrix }}",
        "${{",
        "git fetch origin pull/1/head; gh pr checkout 1; echo x=$A >> $GITHUB_ENV",
        "always() && !cancelled()",
        "composite",
        "node20",
        "docker",
    ]
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.just(1.5), TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(st.sampled_from(["x", "on", "steps", "uses", "*"]), inner, max_size=2),
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
def _changed(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    path, document = draw(st.sampled_from(FILES))
    changed = deepcopy(document)
    for _ in range(draw(st.integers(1, 2))):
        steps = draw(st.sampled_from(_places(changed)))
        parent: Any = changed
        for step in steps[:-1]:
            parent = parent[step]
        parent[steps[-1]] = draw(VALUES)
        if not _places(changed):
            break
    return path, changed


def _read(path: str, document: dict[str, Any]) -> ReadPipeline | str:
    """Return the pipeline, or where it is refused."""
    try:
        return read_pipeline(path, json.dumps(document).encode())
    except DocumentError as error:
        return error.where


@given(_changed())
@settings(max_examples=400, deadline=None)
def test_anything_anywhere_is_facts_or_a_refusal_with_its_place(changed: tuple[str, dict[str, Any]]) -> None:
    path, document = changed
    read = _read(path, document)
    if isinstance(read, str):
        assert read.startswith(f"{path}:")
        return

    (linked,) = link([read])
    for kind in Facts.model_fields:
        for fact in getattr(linked.facts, kind):
            assert linked.source_map.place(fact.at) is not None
    Facts.model_validate_json(linked.facts.model_dump_json())
