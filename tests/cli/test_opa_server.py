"""An OPA that operator settings name by URL, through the real command: asked where it holds the set, else undecided."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from policyd.adapters.library import library_files
from policyd.policy.policy_set import PolicySet, read_policy_set
from tests.adapters.engines.servers import Reachable, open_opa_server, open_stub, say
from tests.cli.workshop import Said, Workshop, open_workshop, put_back

pytestmark = pytest.mark.xdist_group("cli-opa-server")


@pytest.fixture(scope="module")
def shop() -> Iterator[Workshop]:
    with open_workshop() as made:
        yield made


@pytest.fixture(scope="module")
def library() -> PolicySet:
    return read_policy_set(library_files(), "policyd-library")


@contextmanager
def named(shop: Workshop, server: Reachable, **more: object) -> Iterator[None]:
    """Have the operator settings name `server`."""
    fields = {"url": server.url, "ca_file": str(server.ca_file), "timeout_seconds": 60, **more}
    with put_back(shop.settings) as file:
        file.write_text(file.read_text() + f"opa_server: {json.dumps(fields)}\n")
        yield


def held(library: PolicySet) -> dict[str, str]:
    return {**library.modules, "data.json": json.dumps(library.data)}


def require_undecided(said: Said, words: str) -> None:
    decision: dict[str, Any] = said.require(3).json["decisions"][0]["decision"]
    assert decision["verdict"] == "undecided"
    assert any(words in problem["message"] for problem in decision["problems"]), decision["problems"]


def test_the_server_is_asked_alone_and_beside_the_embedded_engine(
    shop: Workshop, library: PolicySet, opa: Path
) -> None:
    with open_opa_server(opa, held(library)) as server, named(shop, server):
        alone = shop.call("check", "--engine", "opa", "--format", "json").require(0).json
        both = shop.call("check", "--engine", "both", "--format", "json").require(0).json

    assert alone["decisions"][0]["decision"]["engine"]["version"].endswith(f" at {server.url}")
    assert both["decisions"][0]["decision"]["engine"]["version"].endswith(f" at {server.url}")


def test_a_server_that_holds_another_set_leaves_it_undecided(shop: Workshop, library: PolicySet, opa: Path) -> None:
    files = held(library)
    path = "hygiene/missing_timeout/missing_timeout.rego"
    files[path] += "\n# weaker\n"
    with open_opa_server(opa, files) as server, named(shop, server):
        for engine in ("opa", "both"):
            require_undecided(shop.call("check", "--engine", engine, "--format", "json"), "holds another policy set")


def test_a_server_that_is_down_leaves_it_undecided(shop: Workshop, library: PolicySet, opa: Path) -> None:
    with open_opa_server(opa, held(library)) as server, named(shop, server):
        server.stop()

        require_undecided(shop.call("check", "--engine", "opa", "--format", "json"), "can't be reached")
        shop.call("run", "pipeline.yaml", "--engine", "opa").require(3)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda asked, connection: connection.sendall(say("200 OK", b"<html></html>", kind="text/html")), "is no OPA"),
        (
            lambda asked, connection: connection.sendall(say("200 OK", b'{"provenance": {"version": "1.3.9"}}')),
            "OPA 1.3.9 is too old",
        ),
        (lambda asked, connection: connection.recv(1), "took too long"),
    ],
    ids=["HTML", "an old OPA", "slow"],
)
def test_what_is_no_opa_leaves_it_undecided(shop: Workshop, answer: Callable[[bytes, Any], None], words: str) -> None:
    with open_stub(answer) as stub, named(shop, stub, timeout_seconds=1 if words == "took too long" else 60):
        require_undecided(shop.call("check", "--engine", "opa", "--format", "json"), words)


def test_only_the_operator_names_a_server(shop: Workshop) -> None:
    with put_back(shop.project / "policyd.yaml") as file:
        file.write_text("policyd: project/v1\nopa_server: {url: 'https://127.0.0.1:1'}\n")

        shop.call("check", "--engine", "opa").require_one_error(2, "for the operator to decide")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8181", "https://name:word@127.0.0.1", "https://127.0.0.1/v1"])
def test_a_url_that_will_not_do_is_an_error_of_the_settings(shop: Workshop, url: str) -> None:
    with put_back(shop.settings) as file:
        file.write_text(file.read_text() + f"opa_server: {{url: '{url}'}}\n")

        shop.call("check", "--engine", "opa").require_one_error(2, "opa_server.url")
