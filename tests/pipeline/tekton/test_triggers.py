"""What starts runs: who can, whether that is proved, and what filters ask for."""

from __future__ import annotations

import pytest

from policyd.models.facts import Facts
from policyd.pipeline.tekton.filters import events_named, narrow, parse_filter
from policyd.pipeline.tekton.trust import origin_in_body, trust_of
from tests.pipeline.tekton.said import line, read, read_fixture, scripts, stage

TEMPLATE = """\
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {{name: listener}}
spec:
  triggers:
    - name: one
      interceptors: {interceptors}
      bindings:
        - {{name: value, value: $({field})}}
      template:
        spec:
          params: [{{name: value}}]
          resourcetemplates:
            - apiVersion: tekton.dev/v1
              kind: TaskRun
              metadata: {{generateName: run-}}
              spec:
                params: [{{name: value, value: $(tt.params.value)}}]
                taskSpec:
                  params: [{{name: value}}]
                  steps:
                    - image: alpine
                      script: echo $(params.value)
"""
GITHUB = (
    "{ref: {name: github}, params: [{name: secretRef, value: {secretName: s, secretKey: k}}, "
    "{name: eventTypes, value: [%s]}]}"
)


def _facts(interceptors: str, field: str = "body.pull_request.title") -> Facts:
    return read(TEMPLATE.format(interceptors=interceptors, field=field)).facts


# Listeners.


@pytest.mark.parametrize(
    ("interceptors", "authenticated"),
    [
        ("[]", False),
        ("[{github: {eventTypes: [pull_request]}}]", False),
        ("[{github: {secretRef: {secretName: s, secretKey: k}, eventTypes: [pull_request]}}]", True),
        ("[{gitlab: {secretRef: {secretName: s, secretKey: k}}}]", True),
        ("[{ref: {name: bitbucket}, params: [{name: secretRef, value: {secretName: s}}]}]", True),
        (f"[{GITHUB % 'push'}]", True),
        ("[{cel: {filter: \"body.action == 'opened'\"}}]", False),
        ("[{cel: {filter: \"header.canonical('X-Token').compareSecret('key', 'name')\"}}]", True),
        ("[{webhook: {objectRef: {kind: Service, name: check}}}]", True),
        ("[{ref: {name: own-interceptor, kind: ClusterInterceptor}}]", True),
        ("[{ref: {name: slack}}]", False),
    ],
)
def test_a_caller_proves_itself_where_a_secret_is_compared(interceptors: str, authenticated: bool) -> None:
    (trigger,) = _facts(interceptors).triggers

    assert trigger.authenticated is authenticated
    if not authenticated:
        assert (trigger.trust, trigger.privileged) == ("untrusted", True)


@pytest.mark.parametrize(
    ("events", "trust", "untrusted"),
    [("pull_request", "untrusted", True), ("push", "internal", False), ("issue_comment", "untrusted", True)],
)
def test_the_event_says_who_can_start_a_run(events: str, trust: str, untrusted: bool) -> None:
    facts = _facts(f"[{GITHUB % events}]", "body.repository.full_name")

    assert [(one.event, one.trust) for one in facts.triggers] == [(events, trust)]
    assert (stage(facts, "run").untrusted, stage(facts, "run").privileged) == (untrusted, untrusted)


@pytest.mark.parametrize(
    ("field", "proved", "unproved"),
    [
        ("body.pull_request.title", True, True),
        ("body.pull_request.head.ref", True, True),
        ("body.pull_request.head.sha", False, True),
        ("body.repository.full_name", False, True),
        ("body.head_commit.message", True, True),
        ("body.object_attributes.title", True, True),
        ("body", True, True),
        ("header.X-Event", False, True),
    ],
)
def test_whoever_proves_nothing_writes_the_whole_event(field: str, proved: bool, unproved: bool) -> None:
    (known,) = scripts(_facts(f"[{GITHUB % 'pull_request'}]", field))
    (unknown,) = scripts(_facts("[]", field))

    assert (known.untrusted, unknown.untrusted) == (proved, unproved)
    assert field in unknown.contexts


def test_what_a_filter_makes_of_the_event_is_followed() -> None:
    overlay = "{cel: {overlays: [{key: name, expression: \"body.pull_request.head.ref.split('/')[0]\"}]}}"
    interceptors = f"[{GITHUB % 'pull_request'}, {overlay}]"
    (expression,) = scripts(_facts(interceptors, "extensions.name"))

    assert expression.untrusted
    assert "body.pull_request.head.ref" in expression.contexts


def test_triggers_and_bindings_stand_apart_from_listeners() -> None:
    pipeline = read_fixture("listener.yaml")
    (trigger,) = pipeline.facts.triggers

    assert (trigger.event, trigger.types, trigger.authenticated) == ("pull_request", ["opened", "synchronize"], True)
    assert trigger.parameters == ["title", "sha", "url"]
    assert line(pipeline, trigger.at) == 16


def test_a_trigger_of_its_own_starts_a_template() -> None:
    listener, _, trigger = TEMPLATE.partition("    - name: one\n")
    text = listener + "    - triggerRef: one\n---\napiVersion: triggers.tekton.dev/v1beta1\nkind: Trigger\n"
    body = "\n".join(row[4:] for row in trigger.splitlines())
    text += "metadata: {{name: one}}\nspec:\n" + body + "\n"
    facts = read(text.format(interceptors="[]", field="body.x")).facts

    assert len(facts.triggers) == 1
    assert [one.untrusted for one in scripts(facts)] == [True]


def test_a_template_alone_takes_what_the_event_gives() -> None:
    text = (
        "apiVersion: triggers.tekton.dev/v1beta1\nkind: TriggerTemplate\nmetadata: {name: t}\nspec:\n"
        "  params: [{name: a}]\n  resourcetemplates:\n    - apiVersion: tekton.dev/v1\n      kind: TaskRun\n"
        "      metadata: {name: r}\n      spec:\n        taskSpec:\n          steps:\n            - image: x\n"
        "              script: echo $(tt.params.a)\n"
    )
    facts = read(text).facts
    (expression,) = scripts(facts)

    assert (expression.open, expression.contexts) == (True, ["tt.params.a"])
    assert not stage(facts, "r").untrusted


@pytest.mark.parametrize(
    ("field", "untrusted"), [("body.repository.url", False), ("body.pull_request.head.repo.clone_url", True)]
)
def test_whose_code_an_unproved_event_names_the_trigger_answers_for(field: str, untrusted: bool) -> None:
    facts = read(
        TEMPLATE.format(interceptors="[]", field=field).replace(
            "echo $(params.value)", "git clone $(params.value) x && make"
        )
    ).facts

    assert [(one.untrusted, one.runs) for one in facts.checkouts] == [(untrusted, "make")]
    assert not any(one.authenticated for one in facts.triggers)


# Pipelines-as-Code.


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        (
            'pipelinesascode.tekton.dev/on-event: "[pull_request, push]"',
            [("pull_request", "untrusted"), ("push", "internal")],
        ),
        ("pipelinesascode.tekton.dev/on-event: push", [("push", "internal")]),
        ("pipelinesascode.tekton.dev/on-event: [incoming]", [("incoming", "internal")]),
        ("pipelinesascode.tekton.dev/on-comment: ^/build", [("issue_comment", "untrusted")]),
        (
            "pipelinesascode.tekton.dev/on-cel-expression: event == 'push' && target_branch == 'main'",
            [("push", "internal")],
        ),
        (
            "pipelinesascode.tekton.dev/on-cel-expression: event != 'push'",
            [("pull_request", "untrusted"), ("incoming", "internal")],
        ),
        ("other: x", []),
    ],
)
def test_annotations_say_what_starts_a_run(annotations: str, expected: list[tuple[str, str]]) -> None:
    facts = read(
        f"apiVersion: tekton.dev/v1\nkind: PipelineRun\nmetadata:\n  name: r\n  annotations:\n    {annotations}\n"
        "spec: {pipelineRef: {name: p}}\n",
        ".tekton/r.yaml",
    ).facts

    assert [(one.event, one.trust) for one in facts.triggers] == expected
    assert stage(facts, "r").untrusted is any(trust == "untrusted" for _, trust in expected)


def test_a_label_is_a_guard_of_the_run() -> None:
    facts = read(
        "apiVersion: tekton.dev/v1\nkind: PipelineRun\nmetadata:\n  name: r\n  annotations:\n"
        '    pipelinesascode.tekton.dev/on-event: "[pull_request]"\n'
        '    pipelinesascode.tekton.dev/on-label: "[safe]"\nspec: {pipelineRef: {name: p}}\n',
        ".tekton/r.yaml",
    ).facts

    assert stage(facts, "r").guards == ["label"]


@pytest.mark.parametrize(
    ("annotations", "mutable"),
    [
        ("on-event: '[pull_request]', pipelinesascode.tekton.dev/on-label: '[safe]'", True),
        ("on-cel-expression: \"event == 'pull_request' && body.pull_request.labels.exists(l, l.name == 'a')\"", True),
        ("on-cel-expression: \"event == 'pull_request' && body.action == 'labeled'\"", False),
    ],
)
def test_code_can_change_behind_a_label_that_stays(annotations: str, mutable: bool) -> None:
    """Pipelines-as-Code starts a run again for each commit that comes while the label is there."""
    facts = read(
        f"apiVersion: tekton.dev/v1\nkind: PipelineRun\nmetadata:\n  name: r\n"
        f"  annotations: {{pipelinesascode.tekton.dev/{annotations}}}\nspec:\n  pipelineSpec:\n    tasks:\n"
        "      - name: a\n        taskRef: {name: git-clone}\n"
        "        params: [{name: revision, value: '{{ revision }}'}]\n",
        ".tekton/r.yaml",
    ).facts

    assert [(one.untrusted, one.guards, one.mutable) for one in facts.checkouts] == [(True, ["label"], mutable)]


# Filters.


@pytest.mark.parametrize(
    ("text", "guards"),
    [
        ("body.action in ['opened', 'synchronize']", set()),
        ("body.pull_request.author_association in ['OWNER', 'MEMBER']", {"association"}),
        ("body.pull_request.author_association == 'MEMBER' || body.action == 'opened'", set()),
        ("body.pull_request.author_association == 'NONE'", set()),
        ("!(body.pull_request.author_association == 'MEMBER')", set()),
        ("body.sender.login in ['alice', 'bob'] && body.action == 'opened'", {"actor"}),
        ("body.action == 'labeled' && body.label.name == 'ok-to-test'", {"label", "labeled"}),
        ("body.pull_request.labels.exists(l, l.name == 'ok-to-test')", {"label"}),
        ("'ok-to-test' in body.pull_request.labels.map(l, l.name)", {"label"}),
        ("body.pull_request.head.repo.full_name == body.pull_request.base.repo.full_name", {"same-repository"}),
        ("!body.pull_request.head.repo.fork", {"same-repository"}),
        ("body.pull_request.head.repo.fork == false", {"same-repository"}),
        ("body.pull_request.head.repo.fork != true", {"same-repository"}),
        ("body.pull_request.head.repo.fork", set()),
        ("source_url == target_url", {"same-repository"}),
        ("body.pull_request.merged == true", {"merged"}),
        ("body.action == 'closed' && body.pull_request.merged", {"merged"}),
        ("body.comment.body.startsWith('/test')", {"comment"}),
        ("body.comment.body == '/test' && body.comment.author_association in ['OWNER']", {"comment", "association"}),
        ("(body.a == 'x' || body.sender.login == 'a') && body.sender.login in ['b']", {"actor"}),
        ("body.pull_request.draft == false", set()),
        ("not a filter ((", set()),
        ("a ? b : c", set()),
    ],
)
def test_a_filter_asks_for_what_stops_a_stranger(text: str, guards: set[str]) -> None:
    assert narrow({"pull_request": frozenset()}, text) == {"pull_request": guards}


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ("header.match('X-GitHub-Event', 'push')", ["push"]),
        ("header['X-GitHub-Event'][0] == 'push'", ["push"]),
        ("header.canonical('X-GitLab-Event') in ['push', 'issues']", ["push"]),
        ("event == 'pull_request' && target_branch == 'main'", ["pull_request"]),
        ("!(event == 'pull_request')", ["push"]),
        ("event == 'push' || event == 'pull_request'", ["pull_request", "push"]),
        ("body.action == 'x'", ["pull_request", "push"]),
        ("false", []),
    ],
)
def test_a_filter_keeps_events_out(text: str, events: list[str]) -> None:
    assert sorted(narrow({"pull_request": frozenset(), "push": frozenset()}, text)) == events


def test_the_events_of_a_filter_are_named() -> None:
    assert events_named("header.match('X-GitHub-Event', 'push') || event == 'pull_request'") == ("push", "pull_request")


@pytest.mark.parametrize("text", ["(" * 5000, "!" * 5000, "a.b(" * 2000, "[" * 3000, "a && " * 3000 + "b", '"' * 9, ""])
def test_filters_that_are_too_much_are_not_read(text: str) -> None:
    assert parse_filter(text) is None


def test_a_bots_name_proves_nothing() -> None:
    facts = _facts("[{cel: {filter: \"body.sender.login == 'dependabot[bot]'\"}}]")

    assert facts.conditions[0].spoofable_actor


def test_a_change_in_gerrit_is_an_outsiders_code_and_its_subject_an_outsiders_text() -> None:
    change = origin_in_body("body.patchSet.ref")
    assert (change.code, change.mutable, change.text) == (True, False, "")
    assert origin_in_body("body.change.subject").text == "body.change.subject"
    assert trust_of("patchset-created", authenticated=True) == "untrusted"
