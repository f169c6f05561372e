"""Containers that get what is the host's."""

from __future__ import annotations

import pytest

from policyd.pipeline.effects import find_container_effects
from tests.pipeline.effects.said import details, effects

_KINDS = ("privileged-container", "host-mount", "host-socket")


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ("docker run --privileged tonistiigi/binfmt", "privileged-container"),
        ("sudo docker container run --rm --cap-add SYS_ADMIN x", "privileged-container"),
        ("podman run --pid=host x", "privileged-container"),
        ("docker run --security-opt seccomp=unconfined x", "privileged-container"),
        ("docker run -v /var/run/docker.sock:/var/run/docker.sock x", "host-socket"),
        ("docker run --mount type=bind,source=/etc,target=/e x", "host-mount"),
        ("docker run --volume=/:/host x", "host-mount"),
    ],
)
def test_a_command_that_gives_a_container_the_host_is_seen(script: str, kind: str) -> None:
    assert [effect.kind for effect in effects(script) if effect.kind in _KINDS] == [kind]


@pytest.mark.parametrize(
    "script",
    [
        "docker run --rm alpine true",
        "docker run -v $PWD:/w x",
        "docker run -v cache:/cache x",
        "docker run x --privileged",
        "docker run --cap-add NET_BIND_SERVICE x",
        "docker ps",
        "docker",
    ],
)
def test_plain_containers_are_fine(script: str) -> None:
    assert [effect.kind for effect in effects(script) if effect.kind in _KINDS] == []


@pytest.mark.parametrize(
    ("options", "volumes", "privileged", "kind"),
    [
        ("", [], True, "privileged-container"),
        ("--cpus 1 --privileged", [], False, "privileged-container"),
        ("--cap-add=ALL", [], False, "privileged-container"),
        ("--pid host", [], False, "privileged-container"),
        ("", ["/var/run/docker.sock:/var/run/docker.sock"], False, "host-socket"),
        ("-v /run/docker.sock:/s:ro", [], False, "host-socket"),
        ("", ["/:/host"], False, "host-mount"),
        ("-v '/etc:/e", [], False, "host-mount"),  # a quote left open
    ],
)
def test_a_container_with_the_host_in_it_is_seen(options: str, volumes: list[str], privileged: bool, kind: str) -> None:
    assert [effect.kind for effect in find_container_effects(options, volumes, privileged=privileged)] == [kind]


@pytest.mark.parametrize(
    ("options", "volumes"),
    [
        ("", []),
        ("--privileged=false", []),
        ("--cap-add NET_BIND_SERVICE", []),
        ("", ["/home/runner/work:/w", "cache:/c"]),
    ],
)
def test_a_plain_container_does_nothing(options: str, volumes: list[str]) -> None:
    assert list(find_container_effects(options, volumes, privileged=False)) == []


@pytest.mark.parametrize("image", ["$IMAGE:latest", "${REGISTRY}/app:latest", "ghcr.io/o/${NAME}:latest"])
def test_the_newest_of_whichever_image_is_unpinned(image: str) -> None:
    assert details("unpinned-image", f'docker run --rm "{image}"') == [image]


@pytest.mark.parametrize("image", ["$IMAGE", "${IMAGE}:${TAG}", "$IMAGE@sha256:" + "a" * 64])
def test_an_image_that_a_variable_names_is_not_known(image: str) -> None:
    assert details("unpinned-image", f'docker run --rm "{image}"') == []


def test_an_image_that_buildah_starts_from_by_a_tag_is_seen() -> None:
    assert [one.detail for one in effects("buildah from quay.io/a/b:1") if one.kind == "unpinned-image"] == [
        "quay.io/a/b:1"
    ]
    assert [one.kind for one in effects("buildah from quay.io/a/b@sha256:00") if one.kind == "unpinned-image"] == []
