"""What steps bring, hand on and reach, where an outsider may stand at the other end."""

from __future__ import annotations

import pytest

from policyd.pipeline.azure.fetches import keeps_credentials
from tests.pipeline.azure.test_pipelines import OUTSIDE, facts_of, place, stage_of

TRUSTED = "trigger: [main]\npr: none\n"


def _effects(text: str, kind: str) -> list[str]:
    """Return the details of the effects of one kind."""
    return [one.detail for one in facts_of(text).facts.effects if one.kind == kind]


# An outsider's code in a build that no outsider starts.


@pytest.mark.parametrize(
    "fetch",
    [
        "git fetch origin pull/$(System.PullRequest.PullRequestNumber)/head:theirs\n    git checkout theirs",
        'git fetch origin "+refs/pull/${{ parameters.pr }}/merge:refs/remotes/origin/theirs"\n'
        "    git switch --detach origin/theirs",
        'git fetch origin "pull/$PR/head"\n    git checkout -q FETCH_HEAD',
        'gh pr checkout "$PR"',
        "az repos pr checkout --id $PR",
    ],
)
def test_a_pull_request_that_is_written_out_is_an_outsiders_in_every_build(fetch: str) -> None:
    text = f"{TRUSTED}parameters: [{{name: pr, type: number}}]\nsteps:\n- bash: |\n    {fetch}\n    make\n"
    found = facts_of(f"{text}  env: {{KEY: $(labKey)}}\n")
    checkout = found.facts.checkouts[-1]

    assert (checkout.untrusted, checkout.runs) == (True, "make")
    assert found.facts.stages[0].privileged


def test_a_pull_request_fetched_without_secrets_gives_no_powers() -> None:
    found = facts_of(f"{TRUSTED}steps:\n- bash: gh pr checkout 7 && make\n")

    assert not found.facts.stages[0].privileged


def test_the_branch_of_a_build_fetched_by_hand_is_an_outsiders_where_nothing_was_checked_out() -> None:
    steps = "- bash: |\n    git fetch origin $(Build.SourceBranch)\n    git checkout FETCH_HEAD\n"

    (alone,) = facts_of(f"{OUTSIDE}steps:\n- checkout: none\n{steps}").facts.checkouts
    assert (alone.text, alone.untrusted) == ("git checkout FETCH_HEAD", True)
    after = facts_of(f"{OUTSIDE}steps:\n- checkout: self\n{steps}").facts.checkouts
    assert [one.text for one in after] == ["checkout: self"]


def test_a_repository_written_in_a_checkout_is_a_reference() -> None:
    found = facts_of("steps:\n- checkout: git://tools/scripts@refs/heads/main\n- checkout: self\n")
    (reference,) = found.facts.references

    assert (reference.name, reference.ref, reference.pinned) == ("scripts", "refs/heads/main", False)
    assert place(found, reference) == "azure-pipelines.yml:2:13"


# What is in reach.


@pytest.mark.parametrize(
    ("condition", "privileged"),
    [
        ("succeeded()", True),
        ("eq(variables['System.PullRequest.IsFork'], 'False')", False),
        ("ne(variables['Build.Reason'], 'PullRequest')", False),
        ("eq(variables['Build.SourceBranch'], 'refs/heads/main')", False),
    ],
)
@pytest.mark.parametrize("step", ["- script: x\n  env: {T: $(token)}", "- task: A@1\n  inputs: {azureSubscription: s}"])
def test_what_only_a_guarded_step_gets_is_no_outsiders(step: str, condition: str, privileged: bool) -> None:
    found = facts_of(f"{OUTSIDE}steps:\n- script: make\n{step}\n  condition: {condition}\n")

    assert found.facts.stages[0].privileged is privileged


def test_a_secret_says_what_its_step_asks_for() -> None:
    step = "- script: x\n  env: {{T: $({})}}\n  condition: {}\n"
    fork = "eq(variables['System.PullRequest.IsFork'], 'False')"
    found = facts_of(f"{OUTSIDE}steps:\n{step.format('aToken', fork)}{step.format('bToken', 'succeeded()')}")

    assert {one.name: one.guards for one in found.facts.secrets} == {"aToken": ["same-repository"], "bToken": []}


def test_a_token_that_a_checkout_keeps_is_in_reach() -> None:
    found = facts_of(f"{OUTSIDE}steps:\n- checkout: self\n  persistCredentials: true\n- script: make\n")

    assert found.facts.stages[0].privileged


def test_a_group_of_all_jobs_belongs_to_those_that_name_what_the_file_does_not_set() -> None:
    text = f"""{OUTSIDE}variables:
- group: secrets
- {{name: known, value: x}}
jobs:
- job: A
  steps: [{{script: make $(known) $(Build.BuildId)}}]
- job: B
  steps: [{{script: make $(something)}}]
"""
    found = facts_of(text)

    assert [stage.privileged for stage in found.facts.stages] == [False, True]


def test_a_group_of_the_only_job_is_its_own() -> None:
    found = facts_of(f"{OUTSIDE}variables: [{{group: secrets}}]\nsteps: [{{script: make}}]\n")

    assert found.facts.stages[0].privileged


@pytest.mark.parametrize("kind", ["bash", "pscore"])
def test_a_script_finds_the_credential_of_a_connection_where_it_is_asked_for(kind: str) -> None:
    name = "$servicePrincipalKey" if kind == "bash" else "$env:servicePrincipalKey"
    inputs = "    azureSubscription: s\n    scriptType: {}\n{}    inlineScript: echo {}\n"
    text = f"steps:\n- task: AzureCLI@2\n  inputs:\n{inputs}"

    assert _effects(text.format(kind, "    addSpnToEnvironment: true\n", name), "secret-print") == [
        "servicePrincipalKey"
    ]
    assert _effects(text.format(kind, "", name), "secret-print") == []


def test_an_environment_is_dumped_with_the_secrets_that_no_line_names() -> None:
    found = facts_of("steps:\n- bash: printenv\n  env: {KEY: $(apiKey)}\n").facts.effects

    assert [(one.kind, one.secret) for one in found if one.kind == "environment-dump"] == [("environment-dump", True)]


# Inputs of tasks.


@pytest.mark.parametrize(
    ("task", "inputs", "sink"),
    [
        ("Bash@3", "filePath: a.sh", "script"),
        ("PowerShell@2", "filePath: a.ps1", "script"),
        ("AzureCLI@2", "scriptLocation: scriptPath, scriptPath: a.sh, scriptType: bash", "script"),
        ("PythonScript@0", "scriptSource: filePath, scriptPath: a.py", "input"),
        ("DotNetCoreCLI@2", "command: build", "input"),
    ],
)
def test_arguments_of_a_shells_script_are_part_of_a_line_that_it_reads(task: str, inputs: str, sink: str) -> None:
    value = "$(Build.SourceVersionMessage)"
    found = facts_of(f"steps:\n- task: {task}\n  inputs: {{{inputs}, arguments: {value}}}\n")

    assert [one.sink for one in found.facts.expressions] == [sink]
    assert [one.detail for one in found.facts.effects if one.kind == "argument"] == ([value] if sink == "input" else [])


@pytest.mark.parametrize(
    ("step", "kind", "detail"),
    [
        ("task: Npm@1\n  inputs: {command: custom, customCommand: install -g x}", "unlocked-install", "x"),
        (
            "task: DotNetCoreCLI@2\n  inputs: {command: custom, custom: tool, arguments: install -g x}",
            "unlocked-install",
            "x",
        ),
        (
            "task: Maven@4\n  inputs: {goals: package, options: -Dmaven.wagon.http.ssl.insecure=true}",
            "tls-off",
            "-Dmaven.wagon.http.ssl.insecure=true",
        ),
    ],
)
def test_a_line_that_a_task_hands_to_its_program_does_what_it_does(step: str, kind: str, detail: str) -> None:
    assert _effects(f"steps:\n- {step}\n", kind) == [detail]


def test_a_line_of_another_command_is_none() -> None:
    text = "steps:\n- task: Npm@1\n  inputs: {command: ci, customCommand: install -g x}\n"

    assert _effects(text, "unlocked-install") == []


# Variables that scripts set.


@pytest.mark.parametrize(
    ("line", "tls_off"),
    [
        ('echo "##vso[task.setvariable variable=NODE_TLS_REJECT_UNAUTHORIZED]0" # note', 1),
        ('echo "##vso[task.setvariable variable=NODE_TLS_REJECT_UNAUTHORIZED]1"', 0),
        ('echo "##vso[task.setvariable variable=NODE_TLS_REJECT_UNAUTHORIZED]$X"', 0),
    ],
)
def test_a_variable_that_a_script_sets_does_what_it_does_elsewhere(line: str, tls_off: int) -> None:
    assert len(_effects(f"steps:\n- bash: |\n    {line}\n", "tls-off")) == tls_off


def test_a_secret_in_what_the_shell_takes_for_a_comment_still_stands_there() -> None:
    text = "steps:\n- bash: |\n    echo ##vso[task.setvariable variable=a;issecret=true]crushed\n"
    found = facts_of(text)
    (effect,) = (one for one in found.facts.effects if one.kind == "literal-credential")

    assert place(found, effect) == "azure-pipelines.yml:3:5"


# What is asked for, and what is let pass.


def test_debug_output_under_a_condition_is_asked_for() -> None:
    variable = "system.debug: true"

    assert len(_effects(f"variables:\n  {variable}\nsteps: [{{script: x}}]\n", "debug")) == 1
    conditional = f"  ${{{{ if eq(parameters.debug, 'yes') }}}}:\n    {variable}\n"
    parameters = "parameters: [{name: debug, type: string}]\n"
    assert _effects(f"{parameters}variables:\n{conditional}steps: [{{script: x}}]\n", "debug") == []


def test_results_that_could_not_be_put_up_are_no_failed_test() -> None:
    text = "steps:\n- task: PublishTestResults@2\n  continueOnError: true\n"

    assert _effects(text, "ignores-failure") == []


@pytest.mark.parametrize(
    ("condition", "before"),
    [
        ("succeeded()", ["test"]),
        ("eq(variables['Build.SourceBranch'], 'refs/heads/main')", ["test"]),
        ("always()", []),
        ("and(always(), eq(variables['Build.SourceBranch'], 'refs/heads/main'))", []),
        ("succeededOrFailed()", []),
    ],
)
def test_what_runs_after_a_failure_too_has_no_test_before_it(condition: str, before: list[str]) -> None:
    text = f"""
stages:
- stage: test
  jobs:
  - job: unit
    steps: [{{script: pytest}}]
- stage: deploy
  condition: {condition}
  jobs:
  - job: web
    steps: [{{script: x}}]
"""
    stage = stage_of(facts_of(text), "deploy.web")

    assert (stage.needs, [kind for kind in stage.needs_kinds if kind == "test"]) == (["test.unit"], before)


def test_a_number_as_default_takes_no_text() -> None:
    script = "x ${{ parameters.retries }} ${{ parameters.suite }}"
    text = f"parameters: {{retries: 3, suite: all}}\nsteps: [{{script: '{script}'}}]\n"
    found = facts_of(text, kind="template", path="templates/t.yml")

    assert [one.open for one in found.facts.expressions] == [False, True]


@pytest.mark.parametrize(
    ("command", "persists"),
    [
        ('git -c http.extraheader="AUTHORIZATION: bearer $TOKEN" clone https://a.example/lib', False),
        ('git clone -c http.extraheader="AUTHORIZATION: bearer $TOKEN" https://a.example/lib', True),
        ("git clone https://x:$TOKEN@a.example/lib", True),
        ("git clone https://a.example/lib", False),
    ],
)
def test_a_header_for_one_command_is_not_kept(command: str, persists: bool) -> None:
    assert keeps_credentials(command) is persists


@pytest.mark.parametrize(("branches", "untrusted"), [("['*']", True), ("[main]", False)])
def test_the_run_that_started_this_one_is_of_the_branches_it_may_have(branches: str, untrusted: bool) -> None:
    text = f"""
resources:
  pipelines:
  - pipeline: up
    source: contrib
    trigger: {{branches: {{include: {branches}}}}}
steps:
- task: DownloadPipelineArtifact@2
  inputs: {{source: specific, runVersion: specific, runId: $(resources.pipeline.up.runID), artifact: site}}
"""
    (use,) = facts_of(text).facts.artifacts

    assert (use.foreign, use.untrusted) == (True, untrusted)


def test_a_matrix_gives_the_image_of_an_expression_too() -> None:
    text = "strategy: {matrix: {a: {img: 'node:18'}}}\ncontainer: $[ variables['img'] ]\nsteps: [{script: x}]\n"

    assert [one.text for one in facts_of(text).facts.references] == ["node:18"]
