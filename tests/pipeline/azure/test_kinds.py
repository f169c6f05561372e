"""What the Azure front end takes for its own, by path and by content."""

from __future__ import annotations

import pytest

from policyd.pipeline.azure import kind_by_content, kind_by_path
from policyd.pipeline.kinds import find_kind


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("azure-pipelines.yml", "pipeline"),
        ("azure-pipelines.yaml", "pipeline"),
        ("sub/azure-pipelines-release.yml", "pipeline"),
        ("azure-pipelines.ci.yml", "pipeline"),
        ("azure-pipeline.yml", "pipeline"),
        (".vsts-ci.yml", "pipeline"),
        (".azure-pipelines/nightly.yml", "pipeline"),
        (".azure-pipelines/templates/steps.yml", "template"),
        (".azuredevops/pipelines/ci.yml", "pipeline"),
        (".azuredevops/dependabot.yml", None),
        (".azuredevops/policies/approvers.yml", None),
        (".azure-pipelines/readme.md", None),
        ("pipelines.yml", None),
        (".github/workflows/ci.yml", None),
    ],
)
def test_paths_that_projects_use_are_known(path: str, kind: str | None) -> None:
    assert kind_by_path(path) == kind


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("trigger: none\nsteps:\n- script: echo\n", "pipeline"),
        ("pool: {vmImage: x}\njobs:\n- job: A\n", "pipeline"),
        ("trigger:\n- main\nstages:\n- stage: A\n", "pipeline"),
        ("resources:\n  repositories: []\nextends:\n  template: a.yml@b\n", "pipeline"),
        ("extends:\n  # why\n  template: a.yml\n".replace("  # why\n", ""), "pipeline"),
        ("parameters:\n- name: x\nsteps:\n- bash: echo\n", "template"),
        ("parameters:\n- name: jobs\njobs:\n- ${{ each job in parameters.jobs }}:\n  - ${{ job }}\n", "template"),
        ("steps:\n  - task: Npm@1\n", "template"),
        ("variables:\n- group: x\n", "template"),
    ],
)
def test_files_elsewhere_are_known_by_what_they_hold(content: str, kind: str) -> None:
    assert kind_by_content("ci/build.yml", content.encode()) == kind


@pytest.mark.parametrize(
    "content",
    [
        "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n    - run: echo\n",
        "stages: [build]\nbuild:\n  stage: build\n  script:\n  - echo\n",
        "stages:\n- build\nvariables:\n  A: b\n",
        "apiVersion: tekton.dev/v1\nkind: Task\nspec:\n  steps:\n  - name: a\n    script: echo\n",
        "services:\n  db:\n    image: postgres\n",
        "version: 2.1\njobs:\n  build:\n    steps:\n    - run: x\n",
        "steps:\n- name: gcr.io/cloud-builders/docker\n  args: [build]\nimages: [x]\n",
        "steps:\n- label: x\n  command: make\n",
        "runs:\n  using: composite\n  steps:\n  - run: echo\n",
        "name: x\nvariables:\n  a: b\n",
        "parameters:\n  a: b\n",
        "",
        "- a\n",
    ],
)
def test_files_of_other_systems_are_left_to_them(content: str) -> None:
    assert kind_by_content("ci/build.yml", content.encode()) is None


def test_reading_finds_the_front_end() -> None:
    assert find_kind("azure-pipelines.yml", b"steps: []") == ("azure", "pipeline")
    assert find_kind("ci/x.yml", b"trigger: none\nsteps:\n- script: x\n") == ("azure", "pipeline")
