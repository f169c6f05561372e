"""A plan binds everything, and says what changed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from policyd.models.pipeline import PipelineFile
from policyd.models.plan import LayerRef, Plan, PlannedTool, PolicySetRef, Requester, SourceTree
from policyd.run.planning import Circumstances, find_differences, make_plan

PIPELINE: dict[str, Any] = {
    "policyd": "pipeline/v1",
    "name": "demo",
    "stages": [
        {"name": "pack", "kind": "package", "needs": ["test"], "run": [["true"]], "tools": [{"name": "go"}]},
        {"name": "test", "kind": "test", "run": "true | false", "env": {"B": "1", "A": "2"}, "timeout": "2m"},
    ],
}
CIRCUMSTANCES = Circumstances(
    policy_set=PolicySetRef(name="library", sha256="1" * 64),
    layers=(LayerRef(layer="organisation", name="library", sha256="1" * 64, prefix="policyd"),),
    terms_sha256="7" * 64,
    settings_sha256="2" * 64,
    trust_policy_sha256="3" * 64,
    source=SourceTree(sha256="4" * 64, files=1),
    requester=Requester(identity="unverified", verified=False),
    governance="operator",
    builder_id="https://builder.example",
    sandbox="bwrap",
    helpers={"bwrap": "6" * 64},
)
GO = PlannedTool(name="go", kind="folder", path="/opt/go", sha256="5" * 64)


TEAM = LayerRef(layer="team", name="paint", sha256="8" * 64, prefix="team_paint")
PROJECT = LayerRef(layer="project", name="ci/policies", sha256="9" * 64, prefix="project")


def plan(pipeline: object = PIPELINE, circumstances: Circumstances = CIRCUMSTANCES) -> Plan:
    content = json.dumps(pipeline).encode()
    return make_plan(
        PipelineFile.model_validate_json(content),
        path="pipeline.yaml",
        content=content,
        tools={"pack/go": GO},
        circumstances=circumstances,
    )


def test_stages_are_in_the_order_they_would_run() -> None:
    assert [stage.name for stage in plan().stages] == ["test", "pack"]


def test_the_builder_id_says_the_isolation_that_applies() -> None:
    assert plan().builder_id == "https://builder.example/local/bwrap"


def test_a_script_stops_at_the_first_failure_also_inside_a_pipe() -> None:
    assert plan().stage("test").argvs == (("/bin/bash", "-euo", "pipefail", "-c", "true | false"),)


def test_the_same_inputs_give_the_same_bytes() -> None:
    assert plan().to_json() == plan().to_json()
    assert Plan.model_validate_json(plan().to_json()).sha256 == plan().sha256


@pytest.mark.parametrize("field", list(PIPELINE["stages"][1]))
def test_every_field_of_a_stage_is_under_its_definition_digest(field: str) -> None:
    changed = json.loads(json.dumps(PIPELINE))
    other = {"name": "tests", "kind": "scan", "run": "true", "env": {"A": "2"}, "timeout": "1m"}
    changed["stages"][1][field] = other[field]
    changed["stages"][0]["needs"] = [changed["stages"][1]["name"]]

    assert plan(changed).stages[0].definition_sha256 != plan().stages[0].definition_sha256


def test_what_changed_is_named() -> None:
    changed = json.loads(json.dumps(PIPELINE))
    changed["stages"][1]["env"]["A"] = "3"

    differences = find_differences(plan(), plan(changed))

    assert "stage test: env changed" in differences
    assert any(difference.startswith("pipeline sha256: was ") for difference in differences)
    assert find_differences(plan(), plan()) == ()


def test_layers_that_differ_are_named() -> None:
    above = CIRCUMSTANCES.layers
    approved = plan(circumstances=replace(CIRCUMSTANCES, layers=(*above, TEAM, PROJECT)))
    edited = PROJECT.model_copy(update={"sha256": "a" * 64})

    assert find_differences(approved, plan(circumstances=replace(CIRCUMSTANCES, layers=(*above, TEAM, edited)))) == (
        "the policy of the project ci/policies: was 999999999999…, is aaaaaaaaaaaa…",
    )
    assert find_differences(approved, plan(circumstances=replace(CIRCUMSTANCES, layers=(*above, PROJECT)))) == (
        "the policy of the team paint is gone",
    )
    assert find_differences(plan(), approved) == (
        "the policy of the project ci/policies is new",
        "the policy of the team paint is new",
    )


def test_other_terms_are_another_plan() -> None:
    other = plan(circumstances=replace(CIRCUMSTANCES, terms_sha256="b" * 64))

    assert other.sha256 != plan().sha256
    assert find_differences(plan(), other) == ("terms sha256: was 777777777777…, is bbbbbbbbbbbb…",)
