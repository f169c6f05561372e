"""Listeners, bindings, templates, pipelines and tasks that lie in files of their own."""

from __future__ import annotations

import pytest

from policyd.models.facts import Flow
from policyd.pipeline.linking import link
from policyd.pipeline.reading import ReadPipeline, read_pipeline

SIGNED = (
    "[{ref: {name: github}, params: [{name: secretRef, value: {secretName: s, secretKey: k}},"
    " {name: eventTypes, value: [pull_request]}]}]"
)
LISTENER = """\
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: l}
spec:
  triggers:
    - name: t
      interceptors: INTERCEPTORS
      bindings: [{ref: b}]
      template: {ref: t}
"""
BINDING = """\
apiVersion: triggers.tekton.dev/v1beta1
kind: TriggerBinding
metadata: {name: b}
spec:
  params:
    - {name: text, value: $(FIELD)}
"""
TEMPLATE = """\
apiVersion: triggers.tekton.dev/v1beta1
kind: TriggerTemplate
metadata: {name: t}
spec:
  params: [{name: text}]
  resourcetemplates:
    - apiVersion: tekton.dev/v1
      kind: PipelineRun
      metadata: {generateName: r-}
      spec:
        params: [{name: text, value: $(tt.params.text)}]
        pipelineRef: {name: p}
"""
PIPELINE = """\
apiVersion: tekton.dev/v1
kind: Pipeline
metadata: {name: p}
spec:
  params: [{name: text}]
  tasks:
    - name: a
      params: [{name: text, value: $(params.text)}]
      taskRef: {name: task}
"""
TASK = """\
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: task}
spec:
  params: [{name: text}]
  steps:
    - image: alpine
      script: SCRIPT
"""


def _repository(*, field: str, signed: bool = True, script: str = "echo $(params.text)") -> dict[str, ReadPipeline]:
    files = {
        "listener": LISTENER.replace("INTERCEPTORS", SIGNED if signed else "[]"),
        "binding": BINDING.replace("FIELD", field),
        "template": TEMPLATE,
        "pipeline": PIPELINE,
        "task": TASK.replace("SCRIPT", script),
    }
    read = [read_pipeline(f"ci/{name}.yaml", text.encode()) for name, text in files.items()]
    return dict(zip(files, link(read), strict=True))


def _into_scripts(repository: dict[str, ReadPipeline]) -> list[Flow]:
    return [flow for flow in repository["binding"].facts.flows if flow.sink == "script"]


def test_a_strangers_text_is_followed_from_a_binding_into_the_script_of_a_task() -> None:
    repository = _repository(field="body.pull_request.title")
    (flow,) = _into_scripts(repository)

    assert (flow.value, flow.sink, flow.place) == ("body.pull_request.title", "script", "ci/task.yaml:8")


def test_what_a_stranger_cannot_choose_of_a_signed_event_is_not() -> None:
    assert _into_scripts(_repository(field="body.pull_request.number")) == []


def test_of_an_event_that_nobody_signs_everything_is_a_strangers() -> None:
    repository = _repository(field="body.pull_request.number", signed=False)
    assert [flow.place for flow in _into_scripts(repository)] == ["ci/task.yaml:8"]


def test_a_value_that_lands_in_no_script_is_no_flow_into_one() -> None:
    assert _into_scripts(_repository(field="body.pull_request.title", script="make")) == []


@pytest.mark.parametrize("name", ["template", "pipeline", "task"])
def test_what_a_listener_starts_is_started_by_strangers_in_every_file(name: str) -> None:
    (stage,) = _repository(field="body.pull_request.title")[name].facts.stages
    assert (stage.untrusted, stage.privileged) == (True, True)


def test_a_checkout_of_a_strangers_commit_is_found_where_it_is_done() -> None:
    repository = _repository(field="body.pull_request.head.sha", script="git checkout $(params.text) && make")
    (checkout,) = repository["task"].facts.checkouts

    assert checkout.untrusted
