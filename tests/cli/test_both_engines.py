"""`--engine both` wherever something is judged, and what is said where OPA is not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.workshop import Workshop, open_workshop, put_back

pytestmark = pytest.mark.xdist_group("cli-both-engines")


@pytest.fixture(scope="module")
def equipped(opa: Path) -> Iterator[Workshop]:
    """A workshop whose operator names OPA."""
    with open_workshop(f'helpers: {{opa: "{opa}"}}\n') as shop:
        yield shop


def engine(document: Any) -> dict[str, str]:
    (judged,) = document["decisions"]
    found: dict[str, str] = judged["decision"]["engine"]
    return found


def test_both_engines_are_named_with_versions_and_digest(equipped: Workshop) -> None:
    named = engine(equipped.call("check", "--engine", "both", "--format", "json").require(0).json)

    assert named["name"] == "both"
    assert named["version"].startswith("regorus ")
    assert ", opa " in named["version"]
    assert len(named["sha256"]) == 64


def test_settings_or_the_environment_choose_both(equipped: Workshop) -> None:
    with put_back(equipped.settings) as file:
        file.write_text(file.read_text().replace("engine: embedded\n", "") + "engine: both\n")
        assert engine(equipped.call("check", "--format", "json").require(0).json)["name"] == "both"
    said = equipped.call("check", "--format", "json", env={"POLICYD_ENGINE": "both"}).require(0)
    assert engine(said.json)["name"] == "both"


def test_every_gate_can_ask_both(equipped: Workshop, bwrap: Path) -> None:
    equipped.call("plan", "pipeline.yaml", "--engine", "both").require(0)
    run = equipped.policyd("run", "pipeline.yaml", "--engine", "both", "--format", "json").require(0).json
    artifact = equipped.places.targets / "local" / "greeting"

    assert run["decision"]["engine"]["name"] == "both"
    assert [released["verdict"] for released in run["released"]] == ["allow"]
    equipped.policyd("verify", artifact, "--engine", "both").require(0)
    assert equipped.policyd("audit", "--engine", "both").code in (0, 1)


def test_both_read_a_workflow_alike(equipped: Workshop) -> None:
    workflow = "on: pull_request_target\njobs:\n  a:\n    runs-on: x\n    steps:\n      - uses: actions/checkout@v4\n"
    equipped.write(workflow + '      - run: echo "${{ github.event.issue.title }}"\n', ".github/workflows/ci.yml")

    one = equipped.call("check", ".github", "--format", "json").require(1).json
    both = equipped.call("check", ".github", "--engine", "both", "--format", "json").require(1).json

    assert both["decisions"][0]["decision"]["violations"] == one["decisions"][0]["decision"]["violations"]


@pytest.mark.parametrize("name", ["opa", "both"])
def test_without_opa_it_is_said_where_it_was_looked_for(fresh: Workshop, name: str) -> None:
    missing = fresh.home / "opa"
    with fresh.settings.open("a") as file:
        file.write(f'helpers: {{opa: "{missing}"}}\n')

    for command in (["check"], ["plan", "pipeline.yaml"], ["run", "pipeline.yaml"], ["audit"]):
        fresh.call(*command, "--engine", name).require_one_error(2, str(missing))


@pytest.mark.parametrize("name", ["opa", "both"])
def test_an_old_opa_is_refused_and_nothing_is_judged(fresh: Workshop, name: str) -> None:
    """CVE-2025-46569."""
    old = fresh.home / "opa"
    old.write_text("#!/bin/sh\necho 'Version: 1.3.9'\n")
    old.chmod(0o755)
    with fresh.settings.open("a") as file:
        file.write(f'helpers: {{opa: "{old}"}}\n')

    fresh.call("check", "--engine", name).require_one_error(3, "OPA 1.3.9 is too old", str(old))


def test_an_engine_nobody_knows_can_not_be_used(fresh: Workshop) -> None:
    fresh.call("check", "--engine", "best").require_one_error(2, "--engine")
    with fresh.settings.open("a") as file:
        file.write("engine: best\n")
    fresh.call("check").require_one_error(2, "engine")
