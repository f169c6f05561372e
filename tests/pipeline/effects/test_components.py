"""What well-known components do."""

from __future__ import annotations

import pytest

from policyd.pipeline.effects import find_component_effects


@pytest.mark.parametrize(
    ("kind", "owner", "name", "inputs", "effects"),
    [
        ("action", "pypa", "gh-action-pypi-publish", {}, {"publish"}),
        ("action", "Docker", "build-push-action", {}, {"build"}),
        (
            "action",
            "docker",
            "build-push-action",
            {"push": "true", "context": "."},
            {"build", "publish", "runs-workspace"},
        ),
        ("action", "docker", "build-push-action", {"push": "false", "sbom": "true"}, {"build", "sbom"}),
        ("action", "aquasecurity", "trivy-action", {}, {"scan"}),
        ("action", "snyk", "actions/node", {}, {"scan"}),
        (
            "workflow",
            "slsa-framework",
            "slsa-github-generator/.github/workflows/generator_generic_slsa3.yml",
            {},
            {"sign"},
        ),
        ("workflow", "google", "osv-scanner-action/.github/workflows/osv-scanner-reusable.yml", {}, {"scan"}),
        ("action", "hashicorp", "tfc-workflows-github/actions/apply-run", {}, {"deploy"}),
        ("action", "hashicorp", "tfc-workflows-github/actions/plan-output", {}, set()),
        ("action", "ruby", "setup-ruby", {"bundler-cache": "true"}, {"runs-workspace"}),
        ("action", "ruby", "setup-ruby", {}, set()),
        ("action", "actions", "checkout", {}, set()),
        ("action", "hmarr", "auto-approve-action", {}, {"auto-merge"}),
        ("action", "goreleaser", "goreleaser-action", {"args": "release --clean"}, {"publish", "runs-workspace"}),
        ("action", "goreleaser", "goreleaser-action", {"args": "build --snapshot"}, {"build", "runs-workspace"}),
        ("task", "", "Docker", {"command": "buildAndPush"}, {"build", "publish", "runs-workspace"}),
        ("task", "", "Npm@1", {"command": "ci"}, {"runs-workspace"}),
        ("task", "", "AzureWebApp", {}, {"deploy"}),
        ("task", "", "DotNetCoreCLI@2", {"command": "test"}, {"test", "runs-workspace"}),
        ("image", "aquasecurity", "trivy-action", {}, set()),
        ("action", "nobody", "nothing", {}, set()),
    ],
)
def test_a_component_does_what_the_table_says(
    kind: str, owner: str, name: str, inputs: dict[str, str], effects: set[str]
) -> None:
    assert {effect.kind for effect in find_component_effects(kind, owner, name, inputs)} == effects


def test_a_task_that_runs_a_container_is_looked_into() -> None:
    found = find_component_effects("task", "", "Docker@2", {"command": "run", "arguments": "--privileged tool"})
    assert [effect.detail for effect in found if effect.kind == "privileged-container"] == ["--privileged"]
