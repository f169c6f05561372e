from __future__ import annotations

import json

import pytest

from policyd.attestation.provenance import provenance_statement
from policyd.attestation.statements import (
    RESULT_EXTENSION,
    Named,
    decision_statement,
    link_statement,
    manifest_statement,
    render_statement,
    result_statement,
    sbom_statement,
    stage_materials,
)
from policyd.errors import DocumentError, VerificationFailed
from policyd.models.manifest import ResultSummary, StageState
from policyd.models.plan import PlannedTool
from policyd.models.statement import CYCLONEDX, LINK_V03, PROVENANCE_V1, SPDX, TEST_RESULT_V01
from tests.attestation.made_run import BUILDER_ID, RUN_ID, make_decision, make_plan, make_run, sha256


def test_a_statement_is_canonical_json() -> None:
    assert (
        render_statement([Named("n", sha256("n"))], "https://example.com/t", {"b": 1, "a": "ü"})
        == (
            '{"_type":"https://in-toto.io/Statement/v1","predicate":{"a":"ü","b":1},'
            '"predicateType":"https://example.com/t","subject":[{"digest":{"sha256":"'
            + sha256("n")
            + '"},"name":"n"}]}'
        ).encode()
    )


def test_a_statement_about_nothing_is_refused() -> None:
    with pytest.raises(DocumentError):
        render_statement([], "https://example.com/t", {})


@pytest.mark.parametrize("number", [2**53 + 1, float("nan"), float("inf")])
def test_numbers_that_tools_read_differently_are_refused(number: float) -> None:
    with pytest.raises(DocumentError):
        render_statement([Named("n", sha256("n"))], "https://example.com/t", {"number": number})


def test_a_decision_is_about_the_artifact_else_the_plan_else_its_input() -> None:
    plan = make_plan()
    decision = make_decision(plan)
    early = decision.model_copy(update={"plan_sha256": None})

    statements = [
        decision_statement(decision.model_copy(update={"subject": "a.zip", "artifact_sha256": sha256("a")})),
        decision_statement(decision),
        decision_statement(early),
    ]

    assert [json.loads(statement)["subject"] for statement in statements] == [
        [{"name": "a.zip", "digest": {"sha256": sha256("a")}}],
        [{"name": "plan", "digest": {"sha256": plan.sha256}}],
        [{"name": "input", "digest": {"sha256": decision.input_sha256}}],
    ]


def test_a_manifest_is_about_the_plan_and_every_product() -> None:
    run = make_run()

    statement = json.loads(manifest_statement(run.manifest()))

    assert [(subject["name"], subject["digest"]["sha256"]) for subject in statement["subject"]] == [
        ("plan", run.plan.sha256),
        ("build/a-1.0.whl", sha256("wheel")),
        ("package/a-1.0.zip", sha256("archive")),
    ]


def test_provenance_binds_products_to_run_plan_stage_attempt_and_decisions() -> None:
    run = make_run()
    record = run.records["package"]

    statement = json.loads(provenance_statement(record, run=run.bound, inputs=run.inputs("package")))

    assert statement["predicateType"] == PROVENANCE_V1
    assert statement["subject"] == [{"name": "a-1.0.zip", "digest": {"sha256": sha256("archive")}}]
    definition, details = statement["predicate"]["buildDefinition"], statement["predicate"]["runDetails"]
    assert definition["externalParameters"] == {
        "plan_sha256": run.plan.sha256,
        "run_id": RUN_ID,
        "stage": "package",
        "attempt": 1,
        "decisions": {"check": run.check_sha256, "admit": record.decision},
    }
    assert [(item["name"], item["digest"]["sha256"]) for item in definition["resolvedDependencies"]] == [
        ("pipeline", sha256("pipeline")),
        ("source", sha256("source")),
        ("products/build.wheel/a-1.0.whl", sha256("wheel")),
    ]
    assert details["builder"]["id"] == BUILDER_ID
    assert details["metadata"]["invocationId"] == f"{RUN_ID}/package/1"
    assert details["metadata"]["startedOn"] < details["metadata"]["finishedOn"]
    assert details["byproducts"] == [{"name": "log", "digest": {"sha256": sha256("log of package")}}]


@pytest.mark.parametrize(
    "change", [{"state": StageState.FAILED}, {"state": StageState.DENIED}, {"decision": None}], ids=str
)
def test_a_stage_that_was_not_admitted_or_did_not_succeed_has_no_provenance(change: dict[str, object]) -> None:
    run = make_run()
    record = run.records["package"].model_copy(update=change)

    with pytest.raises(VerificationFailed):
        provenance_statement(record, run=run.bound, inputs=run.inputs("package"))


def test_a_stage_without_products_has_provenance_of_its_definition() -> None:
    run = make_run()

    statement = json.loads(provenance_statement(run.records["deploy"], run=run.bound, inputs=run.inputs("deploy")))

    assert statement["subject"] == [{"name": "stage/deploy", "digest": {"sha256": sha256("definition of deploy")}}]


def test_materials_are_only_what_the_plan_names() -> None:
    plan = make_plan()
    tool = PlannedTool(name="python", kind="lock", path="requirements.txt", sha256=sha256("lock"))
    stages = tuple(
        stage.model_copy(update={"tools": (tool,), "source": False}) if stage.name == "build" else stage
        for stage in plan.stages
    )

    materials = stage_materials(plan.model_copy(update={"stages": stages}), "build", {})

    assert [material.name for material in materials] == ["pipeline", "tools/python"]


def test_a_link_says_what_ran_on_what() -> None:
    run = make_run()

    statement = json.loads(link_statement(run.records["package"], run=run.bound, inputs=run.inputs("package")))

    predicate = statement["predicate"]
    assert statement["predicateType"] == LINK_V03
    assert (predicate["name"], predicate["command"]) == ("package", ["make", "package"])
    assert len({material["name"] for material in predicate["materials"]}) == len(predicate["materials"]) == 3
    assert predicate["byproducts"] == {"return-value": 0, "log": {"sha256": sha256("log of package")}}
    assert predicate["environment"] == {"sandbox": "bwrap"}


@pytest.mark.parametrize(
    ("passed", "skipped", "expected"), [(True, 0, "PASSED"), (True, 1, "WARNED"), (False, 0, "FAILED")]
)
def test_a_test_result_says_whether_tests_passed(passed: bool, skipped: int, expected: str) -> None:
    run = make_run()
    result = ResultSummary(
        name="unit",
        kind="junit",
        path="junit.xml",
        sha256=sha256("junit"),
        passed=passed,
        counts={"tests": 2, "skipped": skipped},
    )

    statement = json.loads(result_statement(run.records["test"], result, run=run.bound, inputs=run.inputs("test")))

    predicate = statement["predicate"]
    assert statement["predicateType"] == TEST_RESULT_V01
    assert predicate["result"] == expected
    assert [subject["name"] for subject in statement["subject"]] == ["source", "products/build.wheel/a-1.0.whl"]
    assert [item["name"] for item in predicate["configuration"]] == ["pipeline.yaml", "stage/test"]
    assert predicate[RESULT_EXTENSION]["origin"] == "stage"
    assert predicate[RESULT_EXTENSION]["run_id"] == RUN_ID


def test_a_result_that_says_nothing_of_passing_is_no_test_result() -> None:
    run = make_run()
    result = ResultSummary(name="scan", kind="sarif", path="scan.sarif", sha256=sha256("sarif"))

    with pytest.raises(DocumentError):
        result_statement(run.records["test"], result, run=run.bound, inputs=run.inputs("test"))


def test_an_sbom_is_the_predicate_and_the_products_its_subjects() -> None:
    run = make_run()

    statement = json.loads(sbom_statement(run.records["package"], CYCLONEDX, {"bomFormat": "CycloneDX"}))

    assert statement["predicate"] == {"bomFormat": "CycloneDX"}
    assert statement["subject"] == [{"name": "a-1.0.zip", "digest": {"sha256": sha256("archive")}}]
    assert json.loads(sbom_statement(run.records["package"], SPDX, {}))["predicateType"] == SPDX


def test_a_document_of_a_stage_becomes_no_other_predicate() -> None:
    with pytest.raises(DocumentError):
        sbom_statement(make_run().records["package"], PROVENANCE_V1, {"buildDefinition": {}})
