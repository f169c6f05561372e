"""Credentials come from docker's configuration, go to the registry they are for, and to nobody else."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from policyd.adapters.registries import credentials
from policyd.adapters.registries.client import RegistryClient
from policyd.adapters.registries.credentials import find_basic_auth
from policyd.attestation.image_reference import ImageReference
from policyd.errors import RegistryError
from tests.registry import Answer, Asked, LyingRegistry, image_manifest, sha256

IMAGE = image_manifest()[0]
BASIC = base64.b64encode(b"ann:secret words").decode()

Configure = Callable[[object], None]


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Write docker's configuration."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

    def write(value: object) -> None:
        (tmp_path / "config.json").write_text(value if isinstance(value, str) else json.dumps(value))

    return write


def test_there_are_none_without_a_configuration(configure: Configure) -> None:
    assert find_basic_auth("ghcr.io") is None


def test_those_of_the_registry_are_found_and_of_no_other(configure: Configure) -> None:
    configure({"auths": {"ghcr.io": {"auth": BASIC}}})

    assert find_basic_auth("ghcr.io") == BASIC
    assert find_basic_auth("ghcr.io.example.com") is None
    assert find_basic_auth("hcr.io") is None


def test_docker_hub_has_a_name_of_its_own(configure: Configure) -> None:
    configure({"auths": {"https://index.docker.io/v1/": {"auth": BASIC}}})

    assert find_basic_auth("docker.io") == BASIC


@pytest.mark.parametrize(
    "value",
    ["{", "null", '{"auths":{},"auths":{}}', {"auths": {"r": {"auth": "%%"}}}, {"auths": {"r": {"auth": "eA=="}}}],
    ids=range(5),
)
def test_a_broken_configuration_is_no_missing_one(configure: Configure, value: object) -> None:
    configure(value)

    with pytest.raises(RegistryError):
        find_basic_auth("r")


def _helper(folder: Path, script: str) -> None:
    folder.mkdir(mode=0o755)
    path = folder / "docker-credential-test"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_credential_helper_is_asked(configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _helper(tmp_path / "bin", 'read -r name; echo "{\\"Username\\":\\"$name\\",\\"Secret\\":\\"s\\"}"')
    monkeypatch.setattr(credentials, "SYSTEM_PATH", (tmp_path / "bin",))
    configure({"credHelpers": {"ghcr.io": "test"}, "credsStore": "other"})

    found = find_basic_auth("ghcr.io")

    assert found is not None
    assert base64.b64decode(found) == b"ghcr.io:s"


def test_a_helper_that_knows_none_gives_none(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _helper(tmp_path / "bin", "echo credentials not found; exit 1")
    monkeypatch.setattr(credentials, "SYSTEM_PATH", (tmp_path / "bin",))
    configure({"credsStore": "test"})

    assert find_basic_auth("ghcr.io") is None


def test_a_helper_on_the_callers_path_is_not_run(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _helper(tmp_path / "bin", f"touch {tmp_path}/ran")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    configure({"credsStore": "test"})

    with pytest.raises(RegistryError, match="docker-credential-test is not in"):
        find_basic_auth("ghcr.io")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["../../tmp/x", "a b", "A", ""])
def test_a_helpers_name_is_no_path(configure: Configure, name: str) -> None:
    configure({"credHelpers": {"ghcr.io": name or "/"}})

    with pytest.raises(RegistryError, match="no name"):
        find_basic_auth("ghcr.io")


def _fetch(answer: Callable[[Asked], Answer | None], configure: Configure | None = None) -> list[Asked]:
    with LyingRegistry(answer).running() as registry:
        if configure is not None:
            configure({"auths": {registry.host: {"auth": BASIC}}})
        RegistryClient(ImageReference(registry.host, "acme/app", sha256(IMAGE)[7:])).fetch_manifest()
        return registry.asked


def test_a_registry_that_asks_for_basic_gets_it_when_it_asks(configure: Configure) -> None:
    def answer(asked: Asked) -> Answer | None:
        if asked.headers.get("Authorization") == f"Basic {BASIC}":
            return Answer(body=IMAGE)
        return Answer(401, b"{}", "application/json", {"WWW-Authenticate": 'Basic realm="a registry"'})

    asked = _fetch(answer, configure)

    assert [one.headers.get("Authorization") for one in asked] == [None, f"Basic {BASIC}"]


def _with_tokens(asked: Asked) -> Answer | None:
    if asked.path.startswith("/token?"):
        return Answer(200, b'{"token":"abc"}', "application/json")
    if asked.headers.get("Authorization") == "Bearer abc":
        return Answer(body=IMAGE)
    realm = f"http://{asked.headers['Host']}/token"
    challenge = f'Bearer realm="{realm}",service="s",scope="repository:acme/app:pull"'
    return Answer(401, b"{}", "application/json", {"WWW-Authenticate": challenge})


def test_a_token_is_fetched_with_the_credentials(configure: Configure) -> None:
    asked = _fetch(_with_tokens, configure)

    assert [one.path.partition("?")[0] for one in asked][1] == "/token"
    assert "scope=repository%3Aacme%2Fapp%3Apull" in asked[1].path
    assert [one.headers.get("Authorization") for one in asked] == [None, f"Basic {BASIC}", "Bearer abc"]


def test_a_token_for_anybody_is_fetched_without(configure: Configure) -> None:
    asked = _fetch(_with_tokens)

    assert [one.headers.get("Authorization") for one in asked] == [None, None, "Bearer abc"]


@pytest.mark.parametrize(
    "body", [b"null", b"[]", b"{}", b'{"token":1}', b'{"token":"a\\r\\nb: c"}', b"<html>"], ids=range(6)
)
def test_a_token_that_is_none_is_not_used(configure: Configure, body: bytes) -> None:
    def answer(asked: Asked) -> Answer | None:
        return Answer(200, body, "application/json") if asked.path.startswith("/token") else _with_tokens(asked)

    with pytest.raises(RegistryError):
        _fetch(answer)


def test_refused_credentials_are_said_so_and_not_shown(configure: Configure, capfd: pytest.CaptureFixture[str]) -> None:
    def answer(_asked: Asked) -> Answer | None:
        return Answer(
            401, b'{"errors":[{"message":"no"}]}', "application/json", {"WWW-Authenticate": 'Basic realm="r"'}
        )

    with pytest.raises(RegistryError, match="does not let us in") as refused:
        _fetch(answer, configure)

    said = str((refused.value.cause, refused.value.where, refused.value.fix)) + "".join(capfd.readouterr())
    assert BASIC not in said
    assert "secret" not in said


def test_the_netrc_of_the_user_is_not_looked_at(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ann password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))

    asked = _fetch(lambda _asked: Answer(body=IMAGE))

    assert "Authorization" not in asked[0].headers
