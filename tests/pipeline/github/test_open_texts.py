"""Texts that a member, or whoever calls, chooses freely: neither an outsider's nor harmless."""

from __future__ import annotations

import pytest

from policyd.pipeline.reading import read_pipeline


def _open(text: str, on: str = "push", *, script: str = "", name: str = ".github/workflows/ci.yml") -> list[bool]:
    run = script or f"echo ${{{{ {text} }}}}"
    job = f"    runs-on: x\n    env: {{E: '${{{{ {text} }}}}'}}\n    steps:\n      - run: {run}\n"
    content = f"on: {on}\njobs:\n  job:\n{job}"
    facts = read_pipeline(name, content.encode()).facts
    return [one.open for one in facts.expressions if one.sink == "script"]


@pytest.mark.parametrize(
    ("declared", "is_open"),
    [
        ("{type: string}", True),
        ("{}", True),
        ("", True),
        ("{type: choice, options: [a]}", False),
        ("{type: boolean}", False),
        ("{type: number}", False),
        ("{type: environment}", False),
        ("{type: [a]}", True),
    ],
)
@pytest.mark.parametrize("name", ["inputs.Level", "github.event.inputs.level"])
def test_an_input_is_open_unless_its_type_limits_it(declared: str, name: str, is_open: bool) -> None:
    assert _open(name, f"{{workflow_dispatch: {{inputs: {{level: {declared}}}}}}}") == [is_open]


def test_an_input_that_one_of_two_triggers_leaves_open_is_open() -> None:
    on = "{workflow_dispatch: {inputs: {x: {type: boolean}}}, workflow_call: {inputs: {x: {type: string}}}}"

    assert _open("inputs.x", on) == [True]


def test_an_input_stays_open_in_a_variable_but_not_where_it_is_compared() -> None:
    on = "{workflow_dispatch: {inputs: {x: {}}}}"

    assert _open("inputs.x", on, script="echo ${{ env.E }}") == [True]
    assert _open("inputs.x", on, script="echo ${{ inputs.x == 'a' && 'b' || 'c' }}") == [False]


@pytest.mark.parametrize(
    ("text", "on", "is_open"),
    [
        ("github.ref_name", "push", True),
        ("github.ref_name", "{push: {branches: [main, release]}}", False),
        ("github.ref_name", "{push: {branches: ['release/**']}}", True),
        ("github.ref_name", "{push: {branches: [main], tags: ['v*']}}", True),
        ("github.ref_name", "{push: {branches-ignore: [main]}}", True),
        ("github.ref", "pull_request", False),
        ("github.ref", "schedule", False),
        ("github.ref", "workflow_dispatch", True),
        ("github.base_ref", "pull_request", True),
        ("github.event.release.tag_name", "release", True),
        ("github.event.client_payload.version", "repository_dispatch", True),
        ("toJSON(github.event.client_payload)", "repository_dispatch", True),
        ("github.sha", "push", False),
        ("github.repository", "push", False),
        ("github.run_id", "push", False),
    ],
)
def test_names_that_members_choose_are_open(text: str, on: str, is_open: bool) -> None:
    assert _open(text, on) == [is_open]


def test_an_outsiders_text_is_not_merely_open() -> None:
    content = b"on: issues\njobs: {a: {runs-on: x, steps: [{run: '${{ github.event.issue.title || inputs.x }}'}]}}"

    (expression,) = read_pipeline(".github/workflows/ci.yml", content).facts.expressions

    assert (expression.untrusted, expression.open) == (True, False)


def test_what_a_member_hands_over_is_an_outsiders_where_it_is_asked_for_a_pull_request() -> None:
    def untrusted(field: bytes) -> bool:
        step = b"{run: '${{ toJSON(github.event.client_payload%s) }}'}" % field
        content = b"on: repository_dispatch\njobs: {a: {runs-on: x, steps: [%s]}}" % step
        (expression,) = read_pipeline(".github/workflows/ci.yml", content).facts.expressions
        return expression.untrusted

    assert (untrusted(b""), untrusted(b".pull_request")) == (False, True)


def test_a_context_that_nobody_chooses_is_not_open_in_an_action() -> None:
    content = b"name: a\nruns: {using: composite, steps: [{shell: bash, run: '${{ github.action_path }}/x'}]}"

    assert [one.open for one in read_pipeline("action.yml", content).facts.expressions] == [False]


def test_inputs_of_an_action_are_open() -> None:
    content = b"name: a\ninputs: {x: {}}\nruns: {using: composite, steps: [{shell: bash, run: 'echo ${{ inputs.x }}'}]}"

    assert [one.open for one in read_pipeline("action.yml", content).facts.expressions] == [True]
