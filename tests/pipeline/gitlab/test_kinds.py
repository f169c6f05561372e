"""Which files are GitLab's."""

from __future__ import annotations

import time

import pytest

from policyd.pipeline.gitlab import kind_by_content, kind_by_path
from policyd.pipeline.kinds import find_kind


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (".gitlab-ci.yml", "pipeline"),
        ("sub/.gitlab-ci.yml", "pipeline"),
        ("ci/Build.gitlab-ci.yml", "template"),
        (".gitlab/ci/rules.yml", "template"),
        (".gitlab/ci/deep/rules.yaml", "template"),
        ("x/.gitlab/ci/rules.yml", "template"),
        (".gitlab/agents/x/config.yaml", None),
        (".gitlab/ci/readme.md", None),
        ("templates/lint.yml", None),
        ("gitlab-ci.yml", None),
    ],
)
def test_files_are_told_by_their_path(path: str, kind: str | None) -> None:
    assert kind_by_path(path) == kind


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"stages: [a]\njob:\n  stage: a\n  script: make\n", "pipeline"),
        (b"workflow: {}\njob:\n  # why\n  script:\n    - make\n  rules: []\n", "pipeline"),
        (b".a: &x\n  script:\n    - a\n\n    - b\n  tags: [b]\n", "template"),
        (b"'a job':\r\n  script: x\r\n  stage: y\r\n", "template"),
        (b"spec:\n  inputs:\n    a:\n---\njob:\n  script: x\n", "component"),
        (b"# c\nspec:\n  # d\n\n  inputs:\n    a:\n", "component"),
    ],
)
def test_files_elsewhere_are_told_by_their_words(content: bytes, kind: str) -> None:
    assert kind_by_content("any/where.yml", content) == kind


@pytest.mark.parametrize(
    "content",
    [
        b"on: push\njobs:\n  a:\n    runs-on: x\n    steps: [{run: x}]\n",
        b"build:\n  script: python setup.py\n  number: 0\npackage:\n  name: x\n",
        b"build:\n  script: python setup.py\n",
        b"apiVersion: tekton.dev/v1\nkind: Task\nspec:\n  inputs:\n  steps:\n    - script: x\n      image: y\n",
        b"apiVersion: v1\nkind: X\nspec:\n  inputs: {}\n---\napiVersion: v1\n",
        b"services:\n  web:\n    image: x\n    script: y\n",
        b"trigger: none\npool: x\nsteps:\n- script: x\n  image: y\n",
        b"stages:\n- stage: Build\n  jobs:\n  - job: a\n    steps:\n    - script: x\n",
        b"jobs:\n- job: A\n  steps:\n  - script: echo\n    image: x\n",
        b"version: '3'\nservices:\n  x:\n    script: y\n    image: z\n",
        b"pipelines:\n  default:\n    - step:\n        script: [x]\n        image: y\n",
        b"language: python\nscript: x\n",
        b"a: b\n",
        b"",
    ],
)
def test_other_systems_files_are_left_to_them(content: bytes) -> None:
    assert kind_by_content("any/where.yml", content) is None


def test_a_path_tells_before_a_content() -> None:
    assert find_kind(".gitlab-ci.yml", b"on: push\njobs: {}\n") == ("gitlab", "pipeline")


@pytest.mark.parametrize(
    "content", [b"a:\n  script: x\n" * 1200, b"spec:\n" + b"\n \n" * 5000, b"\n" * 16384 + b"script", b"a:\n" * 5000]
)
def test_looking_at_a_hostile_beginning_ends_quickly(content: bytes) -> None:
    start = time.process_time()

    kind_by_content("x.yml", content)

    assert time.process_time() - start < 0.5
