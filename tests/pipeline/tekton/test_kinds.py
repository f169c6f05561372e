"""Which files are Tekton's, and what they are."""

from __future__ import annotations

import pytest

from policyd.errors import DocumentError
from policyd.pipeline.kinds import find_kind
from tests.pipeline.tekton.said import line, read, step

OTHER = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: b}\n"
TASK = "apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: t}\nspec:\n  steps:\n    - {image: a, script: make}\n"


def _object(version: str, kind: str) -> str:
    return f"apiVersion: {version}\nkind: {kind}\nspec: {{}}\n"


@pytest.mark.parametrize("path", [".tekton/pull.yaml", ".tekton/tasks/a.yml", "sub/.tekton/push.yaml"])
def test_files_of_pipelines_as_code_are_known_by_path(path: str) -> None:
    assert find_kind(path, b"") == ("tekton", "pipeline")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (_object("tekton.dev/v1", "Task"), "task"),
        (_object("tekton.dev/v1beta1", "ClusterTask"), "task"),
        (_object("tekton.dev/v1", "TaskRun"), "task"),
        (_object("tekton.dev/v1", "Pipeline"), "pipeline"),
        (_object("'tekton.dev/v1'", '"PipelineRun"'), "pipeline"),
        (_object("tekton.dev/v1alpha1", "StepAction"), "action"),
        (_object("triggers.tekton.dev/v1beta1", "EventListener"), "trigger"),
        (_object("triggers.tekton.dev/v1alpha1", "TriggerTemplate"), "trigger"),
        (_object("triggers.tekton.dev/v1beta1", "TriggerBinding"), "trigger"),
        ("# first\n---\n" + OTHER + "---\n" + TASK, "task"),
        (TASK + "---\n" + _object("tekton.dev/v1", "Pipeline"), "pipeline"),
        ("apiVersion: v1\nkind: List\nitems:\n  - " + _object("tekton.dev/v1", "Task").replace("\n", "\n    "), "task"),
    ],
)
def test_files_elsewhere_are_known_by_their_objects(text: str, kind: str) -> None:
    assert find_kind("ci/some.yaml", text.encode()) == ("tekton", kind)


@pytest.mark.parametrize(
    "text",
    [
        OTHER,
        _object("operator.tekton.dev/v1alpha1", "TektonConfig"),
        _object("tekton.dev.example.com/v1", "Task"),
        OTHER + "more: |\n  apiVersion: tekton.dev/v1\n  kind: Task\n",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {labels: {x: tekton.dev/v1}}\n",
    ],
)
def test_files_without_an_object_of_tekton_are_not_claimed(text: str) -> None:
    assert find_kind("ci/some.yaml", text.encode()) is None


def test_other_objects_in_a_file_are_left_alone() -> None:
    pipeline = read(OTHER + "---\n" + TASK)

    assert [stage.name for stage in pipeline.facts.stages] == ["t"]
    assert isinstance(pipeline.document, list)
    assert len(pipeline.document) == 2


def test_one_document_is_the_document_and_several_are_a_list() -> None:
    assert isinstance(read(TASK).document, dict)
    assert isinstance(read("---\n" + TASK + "---\n").document, dict)
    assert isinstance(read(TASK + "---\n" + TASK).document, list)


def test_places_are_those_of_the_file_in_every_document() -> None:
    pipeline = read(OTHER + "---\n" + TASK + "---\n" + TASK.replace("name: t", "name: u"))
    first, second = pipeline.facts.commands

    assert (line(pipeline, first.at), line(pipeline, second.at)) == (11, 18)
    place = pipeline.source_map.place(("document", 2, "spec", "steps", 0, "image"))
    assert place is not None
    assert (place.line, place.column) == (18, 15)


def test_a_file_of_the_folder_without_an_object_of_tekton_has_no_facts() -> None:
    pipeline = read(OTHER, ".tekton/config.yaml")

    assert not pipeline.facts.stages
    assert not pipeline.facts.triggers


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("apiVersion: tekton.dev/v1\nkind: Task\nspec:\n  params: x\n  steps: []\n", "ci/file.yaml:4:11"),
        ("apiVersion: tekton.dev/v1\nkind: Task\nspec: {description: x}\n", "ci/file.yaml:3:1"),
        ("apiVersion: tekton.dev/v1\nkind: Task\nspec:\n  steps:\n    - image: [a]\n", "ci/file.yaml:5:7"),
        ("apiVersion: tekton.dev/v1\nkind: Task\nspec:\n  steps:\n    - script: x\n", "ci/file.yaml:5:7"),
        ("apiVersion: tekton.dev/v1\nkind: Pipeline\nspec:\n  tasks: {a: b}\n", "ci/file.yaml:4:3"),
        ("apiVersion: tekton.dev/v1\nkind: Pipeline\nspec:\n  tasks:\n    - name: a\n", "ci/file.yaml:5:7"),
        (OTHER + "---\napiVersion: tekton.dev/v1\nkind: TaskRun\nspec: []\n", "ci/file.yaml:8:1"),
    ],
)
def test_what_is_of_another_shape_is_refused_with_its_place(text: str, where: str) -> None:
    with pytest.raises(DocumentError) as refused:
        read(text)

    assert refused.value.where == where


def test_unknown_fields_are_left_alone() -> None:
    facts = step("somethingNew: {a: [1, {b: $(params.text)}]}", "script: make")

    assert [command.text for command in facts.commands] == ["make"]


def test_a_template_of_another_program_is_not_readable() -> None:
    with pytest.raises(DocumentError):
        read(TASK + "{{- if .Values.more }}\n  x: 1\n{{- end }}\n")


def test_a_mark_of_pipelines_as_code_need_not_be_yaml() -> None:
    script = "script: echo {{ body.pull_request.title }}, workingDir: {{ x }}"
    pipeline = read(TASK.replace("script: make", script), ".tekton/a.yaml")
    (expression,) = [one for one in pipeline.facts.expressions if one.sink == "script"]

    assert expression.text == "{{ body.pull_request.title }}"
    place = pipeline.source_map.place(expression.at)
    assert place is not None
    assert (place.line, place.column, place.end_column) == (6, 31, 60)
