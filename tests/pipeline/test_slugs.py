"""The name by which a reference is looked up."""

from __future__ import annotations

from typing import Literal

import pytest

from policyd.pipeline.references import ParsedReference
from policyd.pipeline.slugs import find_slug


@pytest.mark.parametrize(
    ("kind", "owner", "name", "slug"),
    [
        ("action", "Actions", "Checkout", "actions/checkout"),
        ("action", "github", "codeql-action/init", "github/codeql-action"),
        ("workflow", "Owner", "repo/.github/workflows/Build.yml", "owner/repo"),
        ("workflow", "github.com/owner", "repo:task.yaml", "github.com/owner/repo:task.yaml"),
        ("image", "", "alpine", "alpine"),
        ("image", "library", "alpine", "alpine"),
        ("image", "docker.io/library", "alpine", "alpine"),
        ("image", "index.docker.io/aquasec", "Trivy", "aquasec/trivy"),
        ("image", "ghcr.io/aquasecurity", "trivy", "ghcr.io/aquasecurity/trivy"),
        ("task", "", "NodeTool", "nodetool"),
        ("include", "Group/Sub", "project:file.yml", "group/sub/project:file.yml"),
    ],
)
def test_one_component_has_one_slug(
    kind: Literal["action", "workflow", "image", "task", "include"], owner: str, name: str, slug: str
) -> None:
    assert find_slug(ParsedReference(kind, owner, name, "", local=False, pinned=False)) == slug


def test_what_lies_here_has_none() -> None:
    assert find_slug(ParsedReference("action", "", "./.github/actions/x", "", local=True, pinned=False)) == ""
