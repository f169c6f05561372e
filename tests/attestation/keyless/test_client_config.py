"""Client trust configs: whom to ask, and that no address lets the token go where anybody could read it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyd.attestation.keyless.client_config import join_client_config, read_client_config
from policyd.errors import DocumentError
from tests.attestation.keyless.instance import Instance

Value = dict[str, Any]
URLS = {"fulcio": "https://fulcio.example.com", "rekor": "https://log.example.com", "tsa": "https://tsa.example.com"}


def config() -> Value:
    """Return a config of an instance far away."""
    window = {"start": "2025-01-01T00:00:00Z"}

    def service(url: str, version: int = 1) -> Value:
        return {"url": url, "majorApiVersion": version, "validFor": window, "operator": "x"}

    signing = {
        "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
        "caUrls": [service(URLS["fulcio"])],
        "rekorTlogUrls": [service(URLS["rekor"], 2)],
        "tsaUrls": [service(URLS["tsa"])],
    }
    return json.loads(join_client_config(Instance().trusted_root(), signing))  # type: ignore[no-any-return]


def read(value: object) -> None:
    read_client_config(json.dumps(value).encode(), where="c")


@pytest.mark.parametrize(
    "url", ["https://a.example.com", "http://127.0.0.1:8080", "http://[::1]:1", "http://localhost"]
)
def test_addresses_are_https_or_here(url: str) -> None:
    value = config()
    value["signingConfig"]["caUrls"][0]["url"] = url

    read(value)


@pytest.mark.parametrize(
    "url",
    [
        "http://fulcio.example.com",
        "http://127.0.0.1.example.com",
        "http://127.0.0.1@example.com",
        "http://localhost.example.com",
        "https://user:word@example.com",
        "https://",
        "https://a b",
        "https://ex\u0430mple.com",
        "https://a:99999",
        "http://[::1",
        "ftp://127.0.0.1",
        "file:///etc/passwd",
        "",
        None,
        1,
    ],
)
@pytest.mark.parametrize("service", ["caUrls", "rekorTlogUrls", "tsaUrls", "oidcUrls"])
def test_any_other_address_is_refused(service: str, url: object) -> None:
    value = config()
    value["signingConfig"].setdefault(service, [{}])
    value["signingConfig"][service][0]["url"] = url

    with pytest.raises(DocumentError):
        read(value)


CHANGES: dict[str, Callable[[Value], object]] = {
    "a-trusted-root-alone": lambda value: value.pop("signingConfig"),
    "a-signing-config-alone": lambda value: value.pop("trustedRoot"),
    "another-media-type": lambda value: value.update(mediaType="application/json"),
    "no-authority": lambda value: value["signingConfig"].update(caUrls=[]),
    "no-log": lambda value: value["signingConfig"].update(rekorTlogUrls=None),
    "no-timestamp-authority": lambda value: value["signingConfig"].update(tsaUrls=[]),
    "log-without-version": lambda value: (
        value["signingConfig"].update(tsaUrls=[]),
        value["signingConfig"]["rekorTlogUrls"][0].pop("majorApiVersion"),
    ),
    "services-are-no-list": lambda value: value["signingConfig"].update(caUrls={"url": "https://a"}),
    "a-service-is-a-text": lambda value: value["signingConfig"].update(caUrls=["https://a"]),
    "too-many": lambda value: value["signingConfig"].update(tsaUrls=value["signingConfig"]["tsaUrls"] * 65),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_config_that_does_not_say_it_all_is_refused(change: str) -> None:
    value = copy.deepcopy(config())
    CHANGES[change](value)

    with pytest.raises(DocumentError):
        read(value)


def test_a_key_that_stands_twice_is_refused() -> None:
    content = json.dumps(config()).replace('"caUrls"', '"caUrls": [], "caUrls"', 1)

    with pytest.raises(DocumentError):
        read_client_config(content.encode(), where="c")


@given(st.binary(max_size=200))
def test_anything_else_is_an_error_of_ours(content: bytes) -> None:
    with pytest.raises(DocumentError):
        read_client_config(content, where="c")
