"""Images are named by registry, repository and digest, and by nothing else."""

from __future__ import annotations

import pytest

from policyd.attestation.image_reference import api_host, is_loopback, read_image_reference
from policyd.errors import UsageError

HEX = "a" * 64


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (f"oci://ghcr.io/acme/app@sha256:{HEX}", "ghcr.io/acme/app"),
        (f"oci://GHCR.io/acme/app@sha256:{HEX}", "ghcr.io/acme/app"),
        (f"oci://127.0.0.1:5000/app@sha256:{HEX}", "127.0.0.1:5000/app"),
        (f"oci://[::1]:5000/a/b/c@sha256:{HEX}", "[::1]:5000/a/b/c"),
        (f"oci://localhost/app@sha256:{HEX}", "localhost/app"),
        (f"oci://registry:5000/app.x__y-z@sha256:{HEX}", "registry:5000/app.x__y-z"),
        (f"oci://docker.io/alpine@sha256:{HEX}", "docker.io/library/alpine"),
        (f"oci://index.docker.io/acme/app@sha256:{HEX}", "docker.io/acme/app"),
    ],
)
def test_a_reference_names_registry_repository_and_digest(text: str, name: str) -> None:
    reference = read_image_reference(text)

    assert (reference.name, reference.sha256) == (name, HEX)
    assert str(reference) == f"oci://{name}@sha256:{HEX}"
    assert reference.referrers_tag == f"sha256-{HEX}"
    assert read_image_reference(str(reference)) == reference


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("oci://ghcr.io/acme/app:v1", "a tag"),
        (f"oci://ghcr.io/acme/app:v1@sha256:{HEX}", "a tag"),
        ("oci://ghcr.io/acme/app", "not named by its digest"),
        (f"oci://ghcr.io/acme/app@sha256:{'A' * 64}", "64 lower-case"),
        ("oci://ghcr.io/acme/app@sha256:aa", "64 lower-case"),
        (f"oci://ghcr.io/acme/app@sha512:{HEX}", "64 lower-case"),
        (f"oci://ghcr.io/acme/app@sha256:{HEX}@sha256:{HEX}", "64 lower-case"),
        (f"oci://ghcr.io/Acme/app@sha256:{HEX}", "repository"),
        (f"oci://ghcr.io/../app@sha256:{HEX}", "repository"),
        (f"oci://ghcr.io/acme/app?x=1@sha256:{HEX}", "repository"),
        (f"oci://ghcr.io/{'a' * 255}@sha256:{HEX}", "repository"),
        (f"oci://ghcr.io@sha256:{HEX}", "repository"),
        (f"oci://app/x@sha256:{HEX}", "registry"),
        (f"oci:///app@sha256:{HEX}", "registry"),
        (f"oci://user:secret@ghcr.io/app@sha256:{HEX}", "64 lower-case"),
        (f"oci://evil.example#/app@sha256:{HEX}", "registry"),
        (f"oci://a..b/app@sha256:{HEX}", "registry"),
        (f"oci://ghcr.io:99999/app@sha256:{HEX}", "registry"),
        (f"oci://ghcr.io:/app@sha256:{HEX}", "registry"),
        (f"oci://[::g]/app@sha256:{HEX}", "registry"),
        (f"oci:/ghcr.io/app@sha256:{HEX}", "names no image"),
    ],
)
def test_what_names_no_image_by_digest_is_refused(text: str, cause: str) -> None:
    with pytest.raises(UsageError, match=cause):
        read_image_reference(text)


def test_a_tag_is_refused_with_how_to_get_the_digest() -> None:
    with pytest.raises(UsageError) as refused:
        read_image_reference("oci://ghcr.io/acme/app:v1")

    assert "oci://ghcr.io/acme/app@sha256:HEX" in refused.value.fix
    assert "imagetools inspect" in refused.value.fix


@pytest.mark.parametrize("registry", ["localhost", "localhost:5000", "127.0.0.1:1", "127.9.9.9", "[::1]:5000"])
def test_this_machine_is_known(registry: str) -> None:
    assert is_loopback(registry)


@pytest.mark.parametrize("registry", ["ghcr.io", "localhost.example.com", "127.0.0.1.example.com", "10.0.0.1:5000"])
def test_other_machines_are_not_this_one(registry: str) -> None:
    assert not is_loopback(registry)


def test_docker_hub_answers_under_another_name() -> None:
    assert api_host("docker.io") == "registry-1.docker.io"
    assert api_host("ghcr.io") == "ghcr.io"
