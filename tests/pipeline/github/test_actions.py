from __future__ import annotations

import pytest

from policyd.errors import DocumentError
from policyd.models.facts import Facts
from policyd.pipeline.reading import read_pipeline


def _action(text: str) -> Facts:
    return read_pipeline("x/action.yml", text.encode()).facts


def test_steps_of_a_composite_action_are_judged_as_steps() -> None:
    facts = _action(
        "runs:\n  using: composite\n  steps:\n    - {run: 'echo ${{ inputs.x }}', shell: bash}\n    - uses: a/b@v1\n"
    )

    assert [command.program for command in facts.commands] == ["echo"]
    assert [reference.text for reference in facts.references] == ["a/b@v1"]
    assert facts.expressions[0].contexts == ["inputs.x"]


def test_an_action_may_run_under_any_event() -> None:
    facts = _action(
        "runs:\n  using: composite\n  steps:\n    - {run: 'x ${{ github.event.issue.title }} ${{ inputs.x }}'}\n"
        "    - {uses: actions/checkout@v4, with: {ref: '${{ github.event.pull_request.head.ref }}'}}\n"
        "    - {uses: actions/checkout@v4}\n"
    )

    assert [one.untrusted for one in facts.expressions if one.sink == "script"] == [True, False]
    assert [(one.untrusted, one.mutable) for one in facts.checkouts] == [(True, True), (False, False)]


def test_images_of_docker_actions_are_references() -> None:
    (remote,) = _action("runs: {using: docker, image: 'docker://a/b:1'}\n").references
    own, program = _action("runs: {using: docker, image: Dockerfile, entrypoint: run.sh}\n").references

    assert (remote.owner, remote.name, remote.local) == ("a", "b", False)
    assert (own.kind, own.local, own.name) == ("image", True, "Dockerfile")
    assert (program.local, program.name) == (True, "run.sh")


def test_programs_of_javascript_actions_are_references_of_the_action_itself() -> None:
    facts = _action("runs: {using: node20, pre: a.js, main: dist/index.js, post: b.js}\n")

    assert [(one.name, one.local) for one in facts.references] == [
        ("a.js", True),
        ("dist/index.js", True),
        ("b.js", True),
    ]
    assert [stage.name for stage in facts.stages] == ["runs"]


@pytest.mark.parametrize(
    "text",
    [
        "name: x",
        "runs: {}",
        "runs: []",
        "runs: {using: composite, steps: x}",
        "runs: {using: node20, main: [x]}",
        "runs: {using: docker, image: {a: b}}",
        "runs: {using: composite, steps: []}\ninputs: [x]",
    ],
)
def test_an_action_of_another_shape_is_refused(text: str) -> None:
    with pytest.raises(DocumentError) as caught:
        _action(text)

    assert caught.value.where.startswith("x/action.yml:")
