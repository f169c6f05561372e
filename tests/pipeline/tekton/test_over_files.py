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


TRIGGER = """\
apiVersion: triggers.tekton.dev/v1beta1
kind: Trigger
metadata: {name: main, labels: {source: github, team: a}}
spec:
  bindings: [{name: sha, value: $(body.after)}]
  template: {ref: t}
"""
GROUP = """\
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: l}
spec:
  triggerGroups:
    - name: g
      interceptors: INTERCEPTORS
      triggerSelector: {labelSelector: SELECTOR}
"""
OTHER = """\
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: other}
spec:
  triggers: [{triggerRef: main}]
"""


def _authenticated(*files: str) -> list[bool]:
    texts = {f"ci/{number}.yaml": text for number, text in enumerate((TRIGGER, *files))}
    read = [read_pipeline(path, text.encode()) for path, text in texts.items()]
    return [one.authenticated for one in link(read)[0].facts.triggers]


def _group(selector: str, interceptors: str = SIGNED) -> str:
    return GROUP.replace("INTERCEPTORS", interceptors).replace("SELECTOR", selector)


def test_a_group_of_a_listener_proves_who_calls_the_triggers_that_it_picks_in_other_files() -> None:
    assert _authenticated(_group("{matchLabels: {source: github}}")) == [True]


@pytest.mark.parametrize(
    "files",
    [
        (),
        (_group("{matchLabels: {source: gitlab}}"),),
        (_group("{matchLabels: {source: github}}", "[]"),),
        (_group("{matchExpressions: [{key: source, operator: In, values: [github]}]}"),),
        (_group("{matchLabels: {source: github}}"), _group("{matchLabels: {team: a}}", "[]")),
        (_group("{matchLabels: {source: github}}"), OTHER),
    ],
    ids=["alone", "another label", "no proof", "expressions", "an open group too", "an open listener too"],
)
def test_a_trigger_that_anybody_reaches_in_some_way_stays_open(files: tuple[str, ...]) -> None:
    assert _authenticated(*files) == [False]


def test_a_listener_that_takes_any_event_is_started_by_those_that_the_binding_is_written_for() -> None:
    any_event = SIGNED.replace(" {name: eventTypes, value: [pull_request]}", "")
    template = TEMPLATE.replace("pipelineRef: {name: p}", "taskRef: {name: task}").replace("PipelineRun", "TaskRun")
    for field, outside in (("body.pull_request.title", True), ("body.repository.name", False)):
        texts = (LISTENER.replace("INTERCEPTORS", any_event), BINDING.replace("FIELD", field), template)
        read = [read_pipeline(f"ci/{number}.yaml", text.encode()) for number, text in enumerate(texts)]
        assert [stage.untrusted for stage in link(read)[2].facts.stages] == [outside]
