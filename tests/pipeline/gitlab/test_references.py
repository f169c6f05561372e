from __future__ import annotations

import pytest

from policyd.pipeline.gitlab.references import (
    parse_component,
    parse_downstream,
    parse_image,
    parse_project,
    parse_remote,
    parse_template,
)

SHA = "0123456789abcdef0123456789abcdef01234567"
DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("alpine", ("", "alpine", "", False, False, False)),
        ("alpine:3.20", ("", "alpine", "3.20", False, False, False)),
        ("registry.example.org:5000/a/b:1", ("registry.example.org:5000/a", "b", "1", False, False, False)),
        (f"alpine:3.20@{DIGEST}", ("", "alpine", DIGEST, False, True, False)),
        ("alpine@sha256:abc", ("", "alpine", "sha256:abc", False, False, False)),
        ("$CI_DEPENDENCY_PROXY_GROUP_IMAGE_PREFIX/alpine:3", ("", "alpine", "3", False, False, False)),
        ("$CI_REGISTRY_IMAGE/builder:latest", ("$CI_REGISTRY_IMAGE", "builder", "latest", False, False, False)),
        ("$CI_REGISTRY_IMAGE:$CI_COMMIT_SHA", ("", "$CI_REGISTRY_IMAGE", "$CI_COMMIT_SHA", True, False, False)),
        ("$CI_REGISTRY_IMAGE:$TAG", ("", "$CI_REGISTRY_IMAGE", "$TAG", False, False, True)),
        ("$IMAGE", ("", "$IMAGE", "", False, False, True)),
        (f"$IMAGE@{DIGEST}", ("", "$IMAGE", DIGEST, False, True, False)),
    ],
)
def test_images(text: str, expected: tuple[object, ...]) -> None:
    parsed = parse_image(text)

    assert (parsed.owner, parsed.name, parsed.ref, parsed.local, parsed.pinned, parsed.computed) == expected


@pytest.mark.parametrize(
    ("url", "integrity", "pinned"),
    [
        ("https://example.org/a.yml", "", False),
        ("https://example.org/a.yml", "sha256-abc=", True),
        (f"https://gitlab.com/g/p/-/raw/{SHA}/a.yml", "", True),
        (f"https://example.org/{SHA[:-1]}/a.yml", "", False),
        ("https://[x/a.yml", "", False),
    ],
)
def test_remote_files_are_pinned_by_integrity_or_commit(url: str, integrity: str, pinned: bool) -> None:
    assert parse_remote(url, integrity).pinned is pinned


@pytest.mark.parametrize(
    ("ref", "pinned"), [("main", False), ("v1.0.0", False), (SHA, True), (SHA[:12], False), ("", False)]
)
def test_files_of_projects_are_pinned_by_a_whole_commit(ref: str, pinned: bool) -> None:
    parsed = parse_project("group/sub/project", "a.yml", ref)

    assert (parsed.owner, parsed.name, parsed.ref, parsed.pinned) == ("group/sub", "project:a.yml", ref, pinned)


def test_components_are_pinned_by_a_whole_commit() -> None:
    loose = parse_component("$CI_SERVER_FQDN/group/project/lint@1.0")
    pinned = parse_component(f"gitlab.example.org/group/project/lint@{SHA}")

    assert (loose.owner, loose.name, loose.ref, loose.pinned, loose.computed) == (
        "group/project",
        "lint",
        "1.0",
        False,
        False,
    )
    assert (pinned.owner, pinned.name, pinned.pinned) == ("group/project", "lint", True)
    assert parse_component("$CI_SERVER_FQDN/$CI_PROJECT_PATH/lint@$CI_COMMIT_SHA").local
    assert parse_component("$CI_SERVER_FQDN/group/project/lint@$VERSION").computed


def test_what_comes_with_gitlab_is_not_from_elsewhere() -> None:
    assert parse_template("Security/SAST.gitlab-ci.yml").local


def test_downstream_projects_run_from_a_branch() -> None:
    parsed = parse_downstream("group/project", "main")

    assert (parsed.kind, parsed.owner, parsed.name, parsed.ref) == ("repository", "group", "project", "main")
