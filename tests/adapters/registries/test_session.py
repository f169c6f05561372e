"""Where requests may go, and who sees credentials."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
import requests

from policyd.adapters.registries.session import follow, require_allowed, shares_domain
from policyd.errors import RegistryError

REGISTRY = urlsplit("https://registry.example.com")
SECRET = {"Authorization": "Basic c2VjcmV0"}


def _request(url: str, *, secret: bool = True) -> requests.PreparedRequest:
    prepared = requests.Request("GET", url).prepare()
    prepared.headers.update(SECRET if secret else {})
    return prepared


def _redirect(to: str) -> requests.Response:
    response = requests.Response()
    response.status_code = 307
    response.headers["Location"] = to
    return response


@pytest.mark.parametrize(
    ("registry", "other"),
    [
        ("ghcr.io", "ghcr.io"),
        ("registry-1.docker.io", "auth.docker.io"),
        ("registry.gitlab.com", "gitlab.com"),
        ("registry.acme.example.com", "auth.acme.example.com"),
    ],
)
def test_a_token_service_beside_its_registry_sees_credentials(registry: str, other: str) -> None:
    assert shares_domain(registry, other)


@pytest.mark.parametrize(
    ("registry", "other"),
    [
        ("ghcr.io", "evil.io"),
        ("ghcr.io", "io"),
        ("registry.gitlab.com", "evilgitlab.com"),
        ("registry.gitlab.com", "com"),
        ("10.0.0.1", "10.0.0.2"),
        ("10.0.0.1", "evil.0.0.1"),
        ("localhost", "evil"),
        ("example.com", "registry.example.com"),
        ("registry.example.com", ""),
    ],
)
def test_no_other_host_sees_credentials(registry: str, other: str) -> None:
    assert not shares_domain(registry, other)


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("https://evil.com/token", "another host"),
        ("http://registry.example.com/v2/", "not https"),
        ("http://auth.example.com/token", "not https"),
        ("https://registry.example.com:444/", None),  # under the same domain, as a token service is
        ("https://auth.example.com/token", None),
        ("https://registry.example.com/v2/", None),
    ],
)
def test_credentials_go_to_the_registry_and_its_token_service_alone(url: str, cause: str | None) -> None:
    if cause is None:
        require_allowed(_request(url), REGISTRY)
        return
    with pytest.raises(RegistryError, match=cause):
        require_allowed(_request(url), REGISTRY)


def test_credentials_never_leave_this_machine_in_the_open() -> None:
    with pytest.raises(RegistryError, match="others can read"):
        require_allowed(_request("http://registry.example.com/v2/"), urlsplit("http://registry.example.com"))
    require_allowed(_request("http://127.0.0.1:5000/v2/"), urlsplit("http://127.0.0.1:5000"))


def test_a_redirect_elsewhere_loses_the_credentials_and_one_within_keeps_them() -> None:
    begun = _request("https://registry.example.com/v2/a/blobs/x")

    elsewhere = follow(begun, _redirect("https://cdn.example.net/x?signature=1"), REGISTRY)
    beside = follow(begun, _redirect("https://auth.example.com/x"), REGISTRY)
    within = follow(begun, _redirect("/v2/b/blobs/x"), REGISTRY)

    assert "Authorization" not in elsewhere.headers
    assert elsewhere.url == "https://cdn.example.net/x?signature=1"
    assert "Authorization" not in beside.headers
    assert within.headers["Authorization"] == SECRET["Authorization"]
    assert within.url == "https://registry.example.com/v2/b/blobs/x"


@pytest.mark.parametrize("location", ["", "http://[", "https://" + "a" * 70_000])
def test_a_redirect_to_nowhere_is_refused(location: str) -> None:
    with pytest.raises(RegistryError):
        follow(_request("https://registry.example.com/"), _redirect(location), REGISTRY)


@pytest.mark.parametrize("location", ["file:///etc/passwd", "http://cdn.example.net/x", "ftp://cdn.example.net/x"])
def test_a_redirect_is_followed_by_https_only(location: str) -> None:
    following = follow(_request("https://registry.example.com/"), _redirect(location), REGISTRY)

    with pytest.raises(RegistryError, match="not https"):
        require_allowed(following, REGISTRY)
