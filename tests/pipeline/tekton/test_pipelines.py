"""What passes between the tasks of a pipeline, and what a run makes of them."""

from __future__ import annotations

import json

import pytest

from policyd.models.facts import Facts
from policyd.pipeline.linking import link
from tests.pipeline.tekton.said import effects, line, read, read_fixture, scripts, stage

PIPELINE = "apiVersion: tekton.dev/v1\nkind: Pipeline\nmetadata: {name: p}\nspec:\n"
RUN = "apiVersion: tekton.dev/v1\nkind: PipelineRun\nmetadata:\n  name: run\n  annotations: {%s}\nspec:\n"
PULL = 'pipelinesascode.tekton.dev/on-event: "[pull_request]"'
PUSH = 'pipelinesascode.tekton.dev/on-event: "[push]"'


def _tasks(*tasks: str) -> str:
    return "  tasks:\n" + "".join(f"    - {one}\n" for one in tasks)


def _run(annotations: str, *tasks: str, more: str = "") -> Facts:
    body = "  pipelineSpec:\n    tasks:\n" + "".join(f"      - {one}\n" for one in tasks)
    return read(RUN % annotations + more + body, ".tekton/run.yaml").facts


def _script(name: str, script: str, more: str = "") -> str:
    return f"{{name: {name}, {more} taskSpec: {{steps: [{{image: a, script: '{script}'}}]}}}}"


# Stages.


def test_each_task_is_a_stage_that_needs_those_before_it() -> None:
    facts = read_fixture("pull-request.yaml", ".tekton/pull-request.yaml").facts

    assert [(one.name, one.group, one.needs) for one in facts.stages] == [
        ("fetch", "pull-request", []),
        ("describe", "pull-request", ["fetch"]),
        ("build", "pull-request", ["describe"]),
    ]
    assert [one.timeout_seconds for one in facts.stages] == [5400, 5400, 600]
    assert all(one.explicit_timeout for one in facts.stages)
    assert stage(facts, "describe").outputs == ["label"]


def test_tasks_at_the_end_need_all_others() -> None:
    facts = read_fixture("listener.yaml").facts

    assert stage(facts, "report").needs == ["fetch", "build"]
    assert stage(facts, "report").needs_kinds == ["test"]


def test_stages_of_the_same_name_are_told_apart() -> None:
    text = PIPELINE + _tasks(_script("build", "make"))
    facts = read(
        text + "---\n" + text.replace("name: p", "name: q") + "---\n" + text.replace("name: p", "name: q")
    ).facts

    assert [one.name for one in facts.stages] == ["build", "q/build", "q/build#2"]


def test_tasks_in_a_circle_do_no_harm() -> None:
    facts = read(PIPELINE + _tasks(_script("a", "x", "runAfter: [b],"), _script("b", "y", "runAfter: [a],"))).facts

    assert {one.name for one in facts.stages} == {"a", "b"}


def test_a_task_used_twice_is_looked_at_once_where_nothing_differs() -> None:
    task = (
        "---\napiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: t}\nspec:\n"
        "  params: [{name: x}]\n  steps: [{image: a, script: 'make test $(params.x)'}]\n"
    )
    used = "{name: %s, taskRef: {name: t}, params: [{name: x, value: '%s'}]}"
    facts = read(PIPELINE + _tasks(used % ("a", "1"), used % ("b", "2")) + task).facts

    assert len(facts.commands) == 1
    assert [(one.untrusted, one.open) for one in scripts(facts)] == [(False, False)]
    assert [one.name for one in facts.stages] == ["a", "b"]
    assert [one.purposes for one in facts.stages] == [["test"], ["test"]]


def test_a_task_used_with_a_strangers_text_is_looked_at_again() -> None:
    task = (
        "---\napiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: t}\nspec:\n"
        "  params: [{name: x}]\n  steps: [{image: a, script: 'echo $(params.x)'}]\n"
    )
    used = "{name: %s, taskRef: {name: t}, params: [{name: x, value: '%s'}]}"
    body = "  pipelineSpec:\n    tasks:\n" + "".join(
        f"      - {used % one}\n" for one in (("a", "1"), ("b", "{{ source_branch }}"))
    )
    facts = read(RUN % PULL + body + task, ".tekton/run.yaml").facts

    assert [(one.stage, one.untrusted) for one in scripts(facts)] == [("a", False), ("b", True)]


# Values.


def test_a_pull_requests_title_is_followed_from_the_event_to_the_script() -> None:
    pipeline = read_fixture("listener.yaml")
    (expression,) = [one for one in scripts(pipeline.facts) if one.untrusted]

    assert expression.contexts == ["params.title", "body.pull_request.title"]
    assert (expression.stage, line(pipeline, expression.at)) == ("build", 139)


def test_variables_that_hold_a_strangers_text_are_known_to_commands() -> None:
    facts = read_fixture("listener.yaml").facts
    (command,) = [one for one in facts.commands if one.reads_untrusted]

    assert (command.reads_untrusted, command.untrusted) == (["TITLE"], False)


def test_a_result_made_of_a_strangers_text_is_one() -> None:
    pipeline = read_fixture("pull-request.yaml", ".tekton/pull-request.yaml")
    found = {one.text: one for one in scripts(pipeline.facts)}

    assert found["$(params.label)"].untrusted
    assert found["$(params.label)"].contexts == ["params.label", "source_branch", "tasks.describe.results.label"]
    assert found["$(tasks.describe.results.label)"].untrusted
    flow = next(one for one in pipeline.facts.flows if one.sink == "script")
    assert (flow.kind, flow.stage, flow.into, flow.value) == ("output", "describe", "build", "source_branch")
    assert (line(pipeline, flow.at), flow.place) == (55, ".tekton/pull-request.yaml:76")


@pytest.mark.parametrize(
    ("script", "untrusted"),
    [
        ('t="{{ source_branch }}"; u="$t"; echo "$u" > $(results.r.path)', True),
        ('echo "{{ source_branch }}" | read -r t; echo "$t" > $(results.r.path)', True),
        ('t="{{ source_branch }}"; echo "done" > $(results.r.path)', False),
        ('t=$(echo "{{ source_branch }}" | wc -c); echo "$t" > $(results.r.path)', False),
    ],
)
def test_a_strangers_text_is_followed_through_variables_of_the_script(script: str, untrusted: bool) -> None:
    step = f"{{name: s, image: a, script: {json.dumps(script)}}}"
    facts = _run(
        PULL,
        f"{{name: a, taskSpec: {{results: [{{name: r}}], steps: [{step}]}}}}",
        _script("b", "echo $(tasks.a.results.r)"),
    )
    found = {one.text: one.untrusted for one in scripts(facts)}
    assert found.get("$(tasks.a.results.r)", False) is untrusted


def test_a_result_of_own_text_is_harmless() -> None:
    facts = _run(
        PULL,
        "{name: a, taskSpec: {results: [{name: r}], steps: [{image: a, script: 'date > $(results.r.path)'}]}}",
        _script("b", "echo $(tasks.a.results.r)"),
    )

    assert not [one for one in scripts(facts) if one.untrusted]
    assert not facts.flows


def test_a_result_of_a_task_that_ran_a_strangers_code_is_the_strangers() -> None:
    make = "{image: a, script: 'git fetch origin pull/1/head; git checkout FETCH_HEAD; make > $(results.r.path)'}"
    facts = _run(
        PULL,
        f"{{name: a, taskSpec: {{results: [{{name: r}}], steps: [{make}]}}}}",
        _script("b", "echo $(tasks.a.results.r)"),
    )
    (expression,) = scripts(facts)

    assert expression.untrusted
    assert [flow.value for flow in facts.flows] == ["code of the change"]


def test_a_matrix_gives_parameters() -> None:
    facts = _run(
        PULL,
        "{name: a, matrix: {params: [{name: x, value: [one, '{{ source_branch }}']}]}, taskSpec: "
        "{params: [{name: x}], steps: [{image: a, script: 'echo $(params.x)'}]}}",
    )

    assert [one.untrusted for one in scripts(facts)] == [True]


@pytest.mark.parametrize(
    ("annotation", "mark", "untrusted"),
    [
        (PULL, "source_branch", True),
        (PULL, "body.pull_request.body", True),
        (PULL, "body.pull_request.head.sha", False),
        (PULL, "revision", False),
        (PULL, "target_branch", False),
        (PULL, "body.number", False),
        (PUSH, "source_branch", False),
        (PUSH, "body.head_commit.message", True),
    ],
)
def test_variables_of_pipelines_as_code_are_a_strangers_by_event(annotation: str, mark: str, untrusted: bool) -> None:
    (expression,) = scripts(_run(annotation, _script("a", f"echo {{{{ {mark} }}}}")))

    assert expression.untrusted is untrusted


# Checkouts.


def test_what_runs_of_a_checkout_is_found_in_a_later_task() -> None:
    pipeline = read_fixture("pull-request.yaml", ".tekton/pull-request.yaml")
    (checkout,) = pipeline.facts.checkouts

    assert (checkout.stage, checkout.untrusted, checkout.mutable) == ("fetch", True, False)
    assert (checkout.runs, line(pipeline, checkout.runs_at)) == ("make all", 74)
    assert line(pipeline, checkout.at) == 42
    assert stage(pipeline.facts, "fetch").privileged
    assert stage(pipeline.facts, "build").has_source


def _fetched(later: str, *, annotation: str = PULL, revision: str = "{{ revision }}") -> Facts:
    return _run(
        annotation,
        "{name: fetch, taskRef: {name: git-clone}, workspaces: [{name: output, workspace: source}], "
        f"params: [{{name: url, value: '{{{{ repo_url }}}}'}}, {{name: revision, value: '{revision}'}}]}}",
        later,
    )


def test_a_task_without_the_workspace_does_not_run_the_checkout() -> None:
    facts = _fetched(_script("build", "make", "runAfter: [fetch],"))

    assert [one.runs for one in facts.checkouts] == [""]


def test_a_known_task_runs_the_workspace_too() -> None:
    facts = _fetched(
        "{name: build, runAfter: [fetch], taskRef: {name: maven}, workspaces: [{name: source, workspace: source}]}"
    )

    assert [one.runs for one in facts.checkouts] == ["maven"]
    assert stage(facts, "build").purposes == ["build", "test"]


@pytest.mark.parametrize(
    ("annotation", "revision", "untrusted", "mutable"),
    [
        (PULL, "{{ revision }}", True, False),
        (PULL, "{{ source_branch }}", True, True),
        (PULL, "{{ body.pull_request.head.sha }}", True, False),
        (PULL, "refs/pull/{{ pull_request_number }}/head", True, True),
        (PULL, "{{ target_branch }}", False, False),
        (PULL, "main", False, False),
        (PUSH, "{{ revision }}", False, False),
    ],
)
def test_whose_code_a_clone_brings_is_told_by_its_parameters(
    annotation: str, revision: str, untrusted: bool, mutable: bool
) -> None:
    later = _script("build", "make", "workspaces: [{name: s, workspace: source}],")
    (checkout,) = _fetched(later, annotation=annotation, revision=revision).checkouts

    assert (checkout.untrusted, checkout.mutable, checkout.ref) == (untrusted, mutable, revision)


@pytest.mark.parametrize(
    ("when", "guards"),
    [
        (
            "{input: '{{ body.pull_request.author_association }}', operator: in, values: [MEMBER, OWNER]}",
            ["association"],
        ),
        ("{input: '{{ body.pull_request.author_association }}', operator: in, values: [MEMBER, NONE]}", []),
        ("{input: '{{ body.pull_request.author_association }}', operator: notin, values: [MEMBER]}", []),
        ("{input: '{{ sender }}', operator: in, values: [alice]}", ["actor"]),
        (
            "{input: '{{ body.pull_request.head.repo.full_name }}', operator: in, values: [acme/app]}",
            ["same-repository"],
        ),
        ("{input: '{{ body.pull_request.merged }}', operator: in, values: ['true']}", ["merged"]),
        ("{input: '{{ event_type }}', operator: in, values: [push]}", ["event"]),
        ("{input: '{{ event_type }}', operator: in, values: [push, pull_request]}", []),
    ],
)
def test_conditions_of_a_task_guard_what_it_runs(when: str, guards: list[str]) -> None:
    later = _script("build", "make", f"when: [{when}], workspaces: [{{name: s, workspace: source}}],")
    facts = _fetched(later)

    assert stage(facts, "build").guards == guards
    assert facts.checkouts[0].guards == guards


def test_a_later_task_without_a_guard_counts_more() -> None:
    guarded = _script(
        "test",
        "make test",
        "when: [{input: '{{ sender }}', operator: in, values: [a]}], workspaces: [{name: s, workspace: source}],",
    )
    facts = _run(
        PULL,
        "{name: fetch, taskRef: {name: git-clone}, workspaces: [{name: output, workspace: source}], "
        "params: [{name: revision, value: '{{ revision }}'}]}",
        guarded,
        _script("build", "make all", "workspaces: [{name: s, workspace: source}],"),
    )

    assert [(one.runs, one.guards) for one in facts.checkouts] == [("make all", [])]


def test_conditions_that_always_hold_are_seen() -> None:
    facts = read(
        PIPELINE
        + _tasks(
            _script("a", "x", "when: [{input: main, operator: in, values: [main]}],"),
            _script("b", "x", "when: [{input: $(params.x), operator: in, values: [main]}],"),
            _script("c", "x", "when: [{input: main, operator: notin, values: [main]}],"),
        )
    ).facts

    assert [one.always_true for one in facts.conditions] == [True, False, False]


# Powers.


def test_a_stage_has_the_secrets_of_its_workspaces_alone() -> None:
    facts = read_fixture("pull-request.yaml", ".tekton/pull-request.yaml").facts

    assert [one.has_secrets for one in facts.stages] == [True, False, False]


def test_a_run_without_a_token_and_secrets_has_no_powers() -> None:
    more = "  taskRunTemplate: {podTemplate: {automountServiceAccountToken: false}}\n"
    facts = _run(PULL, _script("a", "make"), more=more)

    assert (stage(facts, "a").untrusted, stage(facts, "a").privileged) == (True, False)


def test_a_chosen_service_account_writes() -> None:
    facts = _run(
        PULL,
        _script("a", "make"),
        _script("b", "make"),
        more=(
            "  taskRunTemplate: {serviceAccountName: default}\n"
            "  taskRunSpecs: [{pipelineTaskName: b, serviceAccountName: deployer}]\n"
        ),
    )

    assert [one.writes for one in facts.stages] == [False, True]


# References.


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        (
            "{resolver: git, params: [{name: url, value: 'https://github.com/acme/tasks.git'}, "
            "{name: revision, value: main}, {name: pathInRepo, value: a.yaml}]}",
            ("github.com/acme", "tasks:a.yaml", "main", False, False, False),
        ),
        (
            "{resolver: git, params: [{name: org, value: acme}, {name: repo, value: tasks}, "
            "{name: revision, value: 0123456789abcdef0123456789abcdef01234567}]}",
            ("acme", "tasks", "0123456789abcdef0123456789abcdef01234567", False, True, False),
        ),
        (
            "{resolver: hub, params: [{name: name, value: maven}, {name: version, value: '0.3'}]}",
            ("hub", "maven", "0.3", False, False, False),
        ),
        (
            "{resolver: bundles, params: [{name: bundle, value: 'ghcr.io/acme/tasks:1'}, {name: name, value: build}]}",
            ("ghcr.io/acme", "build", "1", False, False, False),
        ),
        (
            "{resolver: bundles, params: [{name: bundle, value: 'ghcr.io/acme/tasks@sha256:" + "a" * 64 + "'}]}",
            ("ghcr.io/acme", "tasks", "sha256:" + "a" * 64, False, True, False),
        ),
        ("{name: x, bundle: 'ghcr.io/acme/tasks:1'}", ("ghcr.io/acme", "x", "1", False, False, False)),
        (
            "{resolver: http, params: [{name: url, value: 'https://example.com/a.yaml'}]}",
            ("example.com", "a.yaml", "", False, False, False),
        ),
        ("{resolver: cluster, params: [{name: name, value: x}]}", ("", "x", "", True, False, False)),
        ("{name: x}", ("", "x", "", True, False, False)),
        (
            "{resolver: git, params: [{name: url, value: $(params.url)}, {name: revision, value: main}]}",
            ("", "$(params.url)", "main", False, False, True),
        ),
    ],
)
def test_references_are_taken_apart(ref: str, expected: tuple[str, str, str, bool, bool, bool]) -> None:
    (found,) = read(PIPELINE + _tasks(f"{{name: a, taskRef: {ref}}}")).facts.references

    assert found.kind == "task"
    assert (found.owner, found.name, found.ref, found.local, found.pinned, found.computed) == expected


def test_a_task_fetched_without_encryption_is_seen() -> None:
    ref = "{resolver: http, params: [{name: url, value: 'http://example.com/a.yaml'}]}"

    assert effects(read(PIPELINE + _tasks(f"{{name: a, taskRef: {ref}}}")).facts, "insecure-url")


def test_what_pipelines_as_code_fetches_is_a_reference() -> None:
    facts = read_fixture("pull-request.yaml", ".tekton/pull-request.yaml").facts
    found = [(one.text, one.ref, one.local) for one in facts.references if one.stage == ""]

    assert found == [
        ("git-clone:0.9", "0.9", False),
        (".tekton/tasks/lint.yaml", "", True),
        ("https://raw.githubusercontent.com/acme/tasks/main/build.yaml", "", False),
    ]


# Other files.


def test_a_strangers_text_is_followed_into_a_task_of_another_file() -> None:
    run = read(
        RUN % PULL + "  params: [{name: b, value: '{{ source_branch }}'}]\n  pipelineRef: {name: p}\n",
        ".tekton/run.yaml",
    )
    pipeline = read(
        PIPELINE
        + "  params: [{name: b}]\n"
        + _tasks("{name: a, taskRef: {name: t}, params: [{name: c, value: $(params.b)}]}"),
        ".tekton/pipeline.yaml",
    )
    task = read(
        "apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: t}\nspec:\n  params: [{name: c}]\n"
        "  steps:\n    - image: a\n      script: echo $(params.c)\n",
        ".tekton/task.yaml",
    )
    linked = link([run, pipeline, task])

    assert [(one.kind, one.value, one.into, one.sink, one.place) for one in linked[0].facts.flows] == [
        ("call", "source_branch", ".tekton/pipeline.yaml", "input", ".tekton/pipeline.yaml:7"),
        ("call", "source_branch", ".tekton/task.yaml", "script", ".tekton/task.yaml:8"),
    ]
    assert [(one.name, one.untrusted, one.privileged) for one in linked[2].facts.stages] == [("t", True, True)]
    assert not stage(task.facts, "t").untrusted


def test_only_what_is_used_of_another_file_is_started_by_strangers() -> None:
    run = read(
        RUN % PULL + "  pipelineSpec: {tasks: [{name: a, taskRef: {name: t}}]}\n",
        ".tekton/run.yaml",
    )
    task = "apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: %s}\nspec: {steps: [{image: a, script: make}]}\n"
    linked = link([run, read(task % "t" + "---\n" + task % "u", "tasks.yaml")])

    assert [(one.name, one.untrusted) for one in linked[1].facts.stages] == [("t", True), ("u", False)]


def test_a_pipeline_in_a_pipeline_is_read() -> None:
    facts = _run(PULL, "{name: a, pipelineSpec: {tasks: [" + _script("b", "echo {{ source_branch }}") + "]}}")

    assert {one.name for one in facts.stages} == {"a", "b"}
    assert [one.untrusted for one in scripts(facts)] == [True]


def test_a_run_written_out_chooses_its_own_values() -> None:
    text = (
        "apiVersion: tekton.dev/v1\nkind: PipelineRun\nmetadata: {name: r}\nspec:\n"
        "  params: [{name: a, value: x}]\n  pipelineSpec:\n    params: [{name: a}]\n    tasks:\n"
        "      - name: t\n        taskSpec: {steps: [{image: a, script: echo $(params.a)}]}\n"
    )

    assert [(one.untrusted, one.open) for one in scripts(read(text).facts)] == [(False, False)]


def test_a_run_of_a_named_pipeline_is_one_of_many() -> None:
    run = (
        "---\napiVersion: tekton.dev/v1\nkind: PipelineRun\nmetadata: {name: r}\nspec:\n"
        "  params: [{name: a, value: x}]\n  pipelineRef: {name: p}\n"
    )
    facts = read(PIPELINE + "  params: [{name: a}]\n" + _tasks(_script("t", "echo $(params.a)")) + run).facts

    assert [(one.untrusted, one.open) for one in scripts(facts)] == [(False, True)]
