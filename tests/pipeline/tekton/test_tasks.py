"""What tasks do: marks in scripts, variables, images, powers, secrets, checkouts."""

from __future__ import annotations

import pytest

from policyd.models.facts import Facts
from tests.pipeline.tekton.said import effects, line, read, read_fixture, scripts, stage, step

# Marks in scripts.


@pytest.mark.parametrize(
    "text",
    ["$(params.text)", '$(params["text"])', "$(params['text'])", "$(inputs.params.text)", "$(params.text[*])"],
)
def test_a_parameter_that_anyone_chooses_becomes_part_of_a_script(text: str) -> None:
    facts = step("script: |", f"  echo {text}")
    (expression,) = scripts(facts)

    assert (expression.text, expression.open, expression.untrusted) == (text, True, False)
    assert expression.contexts[0].startswith("params.text")


def test_commands_of_the_shell_are_no_marks() -> None:
    facts = step("script: |", "  echo $(date) $(cat params.text) $((1 + 2)) ${params}")

    assert not facts.expressions


@pytest.mark.parametrize("text", ["$(context.taskRun.name)", "$(workspaces.source.path)", "$(results.x.path)"])
def test_names_that_tekton_makes_are_harmless(text: str) -> None:
    (expression,) = step("script: |", f"  echo {text}").expressions

    assert (expression.untrusted, expression.open) == (False, False)


def test_a_value_in_a_variable_is_no_part_of_the_script() -> None:
    facts = step("env: [{name: TEXT, value: $(params.text)}]", 'script: echo "$TEXT"')

    assert not scripts(facts)
    assert not facts.commands[0].untrusted
    assert [one.sink for one in facts.expressions] == ["environment"]


@pytest.mark.parametrize(
    ("lines", "sink"),
    [
        (["command: [sh, -c]", "args: [echo $(params.text)]"], "script"),
        (["command: [/bin/bash, -ec, echo $(params.text)]"], "script"),
        (["args: ['-c', 'echo $(params.text)']"], "script"),
        (["command: [python3, -c, 'print($(params.text))']"], "script"),
        (["command: [echo, $(params.text)]"], "input"),
        (["args: [--name=$(params.text)]"], "input"),
        (["command: [sh, -c, 'echo \"$0\"', $(params.text)]"], "input"),
    ],
)
def test_an_argument_is_a_script_where_a_shell_reads_it(lines: list[str], sink: str) -> None:
    (expression,) = step(*lines).expressions

    assert (expression.sink, expression.open) == (sink, True)


def test_a_parameter_of_a_list_of_values_is_limited() -> None:
    pipeline = read_fixture("tasks.yaml")
    found = {one.text: one.open for one in scripts(pipeline.facts)}

    assert found == {
        '$(params["version"])': True,
        "$(params.target)": False,
        "$(params.version)": True,
        "$(params.text)": True,
    }


def test_a_task_in_place_knows_what_it_is_given() -> None:
    facts = read(
        "apiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata: {name: r}\nspec:\n"
        "  params: [{name: a, value: '1.2'}]\n"
        "  taskSpec:\n    params: [{name: a}, {name: b, default: golang:1}]\n"
        "    steps: [{image: $(params.b), script: make $(params.a) $(params.b)}]\n"
    ).facts

    assert [(one.untrusted, one.open) for one in scripts(facts)] == [(False, False), (False, False)]
    assert [one.text for one in facts.references] == ["golang:1"]


# Shells and places.


@pytest.mark.parametrize(
    ("first", "shell"),
    [
        ("#!/usr/bin/env bash", "bash"),
        ("#!/bin/sh -e", "sh"),
        ("#!/usr/bin/env -S python3 -u", "python"),
        ("#!/usr/local/bin/python3.11", "python"),
        ("#!win pwsh.exe -File", "pwsh"),
        ("set -e", "sh"),
    ],
)
def test_the_first_line_names_what_reads_a_script(first: str, shell: str) -> None:
    facts = step("script: |", f"  {first}", "  echo")

    assert {command.shell for command in facts.commands} == {shell}


def test_commands_stand_on_their_own_lines() -> None:
    pipeline = read_fixture("listener.yaml")
    found = {command.text: line(pipeline, command.at) for command in pipeline.facts.commands}

    assert found["npm ci"] == found["npm test"] - 1 == 140


# What a task has.


def test_images_that_defaults_name_stand_where_they_are_written() -> None:
    pipeline = read_fixture("tasks.yaml")
    found = [(one.text, one.pinned, line(pipeline, one.at)) for one in pipeline.facts.references if one.kind == "image"]

    assert found[0] == ("docker.io/acme/tools:2", False, 15)
    assert [pinned for _, pinned, _ in found] == [False, True, False, False]


def test_an_image_that_nobody_names_is_computed() -> None:
    (reference,) = step("script: make").references
    assert not reference.computed
    text = "apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: t}\nspec:\n  params: [{name: i}]\n"
    (reference,) = read(text + "  steps: [{image: 'x/$(params.i)'}]\n").facts.references

    assert (reference.computed, reference.pinned) == (True, False)


def test_powers_stand_where_they_are_granted_and_once() -> None:
    pipeline = read_fixture("tasks.yaml")
    found = [(one.detail, line(pipeline, one.at)) for one in effects(pipeline.facts, "privileged-container")]

    assert sorted(found) == [("SYS_ADMIN", 25), ("hostNetwork", 86), ("privileged", 61)]
    assert [one.privileged for one in pipeline.facts.containers] == [False, False, False, False, True]


def test_folders_and_sockets_of_the_host_are_seen() -> None:
    pipeline = read_fixture("tasks.yaml")
    (mount,) = effects(pipeline.facts, "host-mount", "host-socket")
    assert (mount.kind, mount.detail, line(pipeline, mount.at)) == ("host-mount", "/var/lib/docker", 64)

    listener = read_fixture("listener.yaml")
    (socket,) = effects(listener.facts, "host-mount", "host-socket")
    assert (socket.kind, line(listener, socket.at)) == ("host-socket", 126)


def test_a_plain_container_has_no_powers() -> None:
    lines = (
        "securityContext: {privileged: false, runAsNonRoot: true, capabilities: {drop: [ALL], add: [CHOWN]}}",
        "script: make",
    )
    facts = step(*lines)

    assert not effects(facts, "privileged-container", "host-mount", "host-socket")


def test_secrets_are_seen_wherever_they_come_in() -> None:
    facts = read_fixture("tasks.yaml").facts
    found = {(one.name, one.sink) for one in facts.secrets}

    assert found == {
        ("registry", "environment"),
        ("everything", "environment"),
        ("signing", "other"),
        ("projected", "other"),
    }
    assert stage(facts, "release").has_secrets


def test_commands_know_the_variables_that_hold_secrets() -> None:
    facts = step(
        "env: [{name: TOKEN, valueFrom: {secretKeyRef: {name: s, key: k}}}, {name: OTHER, value: x}]",
        'script: echo "$TOKEN$OTHER"',
    )

    assert facts.commands[0].reads_secrets == ["TOKEN"]
    assert effects(facts, "secret-print")


def test_a_variable_of_the_template_counts_once() -> None:
    facts = read_fixture("tasks.yaml").facts

    assert len([one for one in facts.variables if one.name == "HOME"]) == 1


def test_a_secret_written_out_beside_a_task_is_one() -> None:
    pipeline = read_fixture("tasks.yaml")
    (variable,) = [one for one in pipeline.facts.variables if one.origin == "credentials"]

    assert (variable.name, variable.literal, line(pipeline, variable.at)) == ("token", True, 106)


def test_a_failure_that_is_passed_over_is_seen() -> None:
    pipeline = read_fixture("listener.yaml")
    (effect,) = effects(pipeline.facts, "ignores-failure")

    assert line(pipeline, effect.at) == 133


def test_roles_say_what_a_service_account_may_do() -> None:
    facts = read_fixture("tasks.yaml").facts

    assert [(one.scope, one.access) for one in facts.permissions] == [("deployments", "write"), ("pods", "read")]
    assert stage(facts, "release").writes


@pytest.mark.parametrize("account", ["", "serviceAccountName: default"])
def test_a_service_account_that_nobody_chose_is_not_known_to_write(account: str) -> None:
    facts = read(
        f"apiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata: {{name: r}}\nspec:\n  {account}\n"
        "  taskSpec: {steps: [{image: a, script: make}]}\n"
    ).facts

    assert not stage(facts, "r").writes


# Checkouts by command.


@pytest.mark.parametrize(
    ("script", "ref"),
    [
        ("git fetch origin pull/$(params.text)/head && git checkout FETCH_HEAD && make", "FETCH_HEAD"),
        ("git fetch origin refs/merge-requests/7/head:mr; git checkout mr; make", "mr"),
        ("gh pr checkout 7 && make", ""),
    ],
)
def test_a_pull_request_fetched_by_command_is_an_outsiders_code(script: str, ref: str) -> None:
    (checkout,) = step("script: |", f"  {script}").checkouts

    assert (checkout.untrusted, checkout.mutable, checkout.ref, checkout.runs) == (True, True, ref, "make")


def test_a_clone_of_what_a_parameter_names_is_no_outsiders_by_itself() -> None:
    (checkout,) = step("script: git clone $(params.text) && make").checkouts

    assert not checkout.untrusted


def test_credentials_in_an_address_stay_in_the_tree() -> None:
    (checkout,) = step("script: git clone https://user:$TOKEN@example.com/x.git").checkouts

    assert checkout.persists_credentials


def _limits(text: str) -> Facts:
    return read(text).facts


def test_a_task_has_the_time_that_its_run_gives() -> None:
    run = "apiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata: {name: r}\nspec:\n"
    body = "  taskSpec: {steps: [{image: a}]}\n"

    assert [(one.timeout_seconds, one.explicit_timeout) for one in _limits(run + body).stages] == [(3600, False)]
    (limited,) = _limits(run + "  timeout: 1h5m\n" + body).stages
    assert (limited.timeout_seconds, limited.explicit_timeout) == (3900, True)
    (endless,) = _limits(run + "  timeout: '0'\n" + body).stages
    assert (endless.timeout_seconds, endless.explicit_timeout) == (None, False), "0 is no limit"


# What arguments do.


def test_what_an_argument_does_stands_in_its_line_each_of_them() -> None:
    pipeline = read(
        "apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: t}\nspec:\n  steps:\n    - image: a\n"
        "      command: [/kaniko/executor]\n      args:\n        - --destination=x\n        - --insecure\n"
        "        - --skip-tls-verify-pull=true\n"
    )
    assert [line(pipeline, one.at) for one in effects(pipeline.facts, "tls-off")] == [10, 11]


def test_arguments_alone_go_to_the_program_of_the_image() -> None:
    for image, args in (
        ("docker:dind", "--insecure-registry=r:5000"),
        ("quay.io/skopeo/stable", "copy, --tls-verify=false"),
    ):
        text = (
            "apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: t}\n"
            f"spec: {{steps: [{{image: '{image}', args: [{args}]}}]}}\n"
        )
        assert len(effects(read(text).facts, "tls-off")) == 1


@pytest.mark.parametrize(
    ("arguments", "evaluated"),
    [
        ('["bash", "-c", "echo $(TITLE)"]', True),
        ('["bash", "-euo", "pipefail", "-c", "echo $(TITLE)"]', True),
        ('["bash", "-c", "echo $$(TITLE)"]', False),
        ('["bash", "-c", \'echo "$TITLE"\']', False),
        ('["echo", "$(TITLE)"]', False),
    ],
)
def test_kubernetes_fills_in_variables_before_a_shell_reads_its_script(arguments: str, evaluated: bool) -> None:
    facts = step("env: [{name: TITLE, value: $(params.text)}]", f"command: {arguments}")
    assert [one.open for one in facts.expressions if one.sink == "script"] == [True] * evaluated


def test_a_value_filled_in_into_the_script_of_another_shell_is_evaluated() -> None:
    facts = step(
        "env: [{name: TEXT, value: $(params.text)}]",
        "script: |",
        '  bash -c "make $TEXT"',
        "  bash -c 'make \"$TEXT\"'",
    )
    assert [one.detail for one in effects(facts, "evaluates")] == ["make $TEXT"]


def test_powers_of_the_template_hold_where_a_step_says_nothing_else() -> None:
    text = (
        "apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: t}\nspec:\n"
        "  stepTemplate: {securityContext: {privileged: true}}\n  steps:\n    - image: a\n"
        "      securityContext: {runAsUser: 1000}\n"
    )
    assert len(effects(read(text).facts, "privileged-container")) == 1
    assert effects(read(f"{text.replace('runAsUser: 1000', 'privileged: false')}").facts, "privileged-container") == []


def test_a_condition_on_a_list_of_values_limits_a_parameter() -> None:
    when = "when: [{input: $(params.text), operator: OPERATOR, values: [a, b]}]"
    for operator, open_ones in (("in", 0), ("notin", 1)):
        facts = step(when.replace("OPERATOR", operator), "script: echo $(params.text)")
        assert sum(one.open for one in scripts(facts)) == open_ones


@pytest.mark.parametrize(
    ("script", "shown"),
    [
        ("cat /etc/key/cosign.key", True),
        ("base64 /etc/key/cosign.key", True),
        ("cat $(workspaces.git-credentials.path)/.git-credentials", True),
        ("cat /etc/key/cosign.key > key", False),
        ("cat /etc/key/cosign.key | cosign import", False),
        ("ls /etc/key", False),
        ("cat $(workspaces.source.path)/VERSION", False),
    ],
)
def test_a_file_of_a_secret_that_is_shown_is_seen(script: str, shown: bool) -> None:
    text = (
        "apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: t}\nspec:\n"
        "  volumes: [{name: key, secret: {secretName: cosign}}]\n  steps:\n    - image: a\n"
        f"      volumeMounts: [{{name: key, mountPath: /etc/key}}]\n      script: {script}\n"
    )
    assert len(effects(read(text).facts, "secret-print")) == shown


def test_a_secret_whose_entries_are_all_variables_is_known_by_their_names() -> None:
    facts = step(
        "envFrom: [{secretRef: {name: aws}}]", "script: |", "  echo $AWS_SECRET_ACCESS_KEY", "  echo $HOME", "  env"
    )
    assert [one.text for one in effects(facts, "secret-print")] == ["echo $AWS_SECRET_ACCESS_KEY"]
    assert [one.secret for one in effects(facts, "environment-dump")] == [True]


def test_a_shell_that_traces_from_its_first_line_shows_secrets_it_fills_in() -> None:
    secret = "env: [{name: TOKEN, valueFrom: {secretKeyRef: {name: s, key: k}}}]"
    for first, used, count in (
        ("#!/bin/bash -eux", 'curl -u "$TOKEN"', 1),
        ("#!/bin/bash -eu", 'curl -u "$TOKEN"', 0),
        ("#!/bin/sh -x", "make", 0),
    ):
        assert len(effects(step(secret, "script: |", f"  {first}", f"  {used}"), "secret-print")) == count


def test_of_two_checkouts_in_a_row_the_last_one_counts() -> None:
    run = (
        "apiVersion: tekton.dev/v1\nkind: PipelineRun\nmetadata:\n  name: p\n  annotations:\n"
        '    pipelinesascode.tekton.dev/on-event: "[pull_request]"\nspec:\n  pipelineSpec:\n    tasks:\n'
        "      - name: t\n        taskSpec:\n          steps:\n            - image: a\n              script: |\n"
    )
    clone, checkout = "git clone {{ source_url }} app", "git checkout {{ revision }}"
    for lines, untrusted in (
        ((clone, checkout, "make"), [False, True]),
        ((clone, "make", checkout), [True, True]),
        ((clone, "git clone {{ source_url }} other", "make -C app"), [True, True]),
    ):
        facts = read(run + "".join(f"                {one}\n" for one in lines), ".tekton/pr.yaml").facts
        assert [one.untrusted for one in facts.checkouts] == untrusted


def test_merge_keys_are_read_as_kubernetes_reads_them() -> None:
    facts = read(
        "apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: t}\nspec:\n  steps:\n"
        "    - &base {name: a, image: alpine, script: make}\n    - {<<: *base, name: b, image: busybox}\n"
    ).facts
    assert [one.text for one in facts.references] == ["alpine", "busybox"]


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ("data: {token: c2VjcmV0LXZhbHVlLTEyMzQ=}", 1),
        ("stringData: {token: secret-value-1234}", 1),
        ("data: {token: <base64>}", 0),
        ("stringData: {token: token}", 0),
        ("stringData: {token: change-me}", 0),
        ("stringData: {token: '<your token>'}", 0),
    ],
)
def test_a_secret_beside_a_task_counts_unless_it_is_a_placeholder(entry: str, found: int) -> None:
    text = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\n{entry}\n---\n"
    task = "apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: t}\nspec: {steps: [{image: a}]}\n"
    assert len(effects(read(text + task).facts, "literal-credential")) == found
