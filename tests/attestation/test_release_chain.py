"""The release chain: a whole run passes, and each part flipped, dropped or swapped is refused for its own reason."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import pytest

from policyd.attestation.dsse import read_base64
from policyd.attestation.release_chain import CHECKS, Check, verify_release
from policyd.attestation.statements import Named, render_statement, sign_statement
from policyd.errors import (
    EvidenceMissing,
    IdentityNotTrusted,
    PolicydError,
    SignatureInvalid,
    SubjectMismatch,
    VerificationFailed,
)
from policyd.models.decision import Effect, Gate, Level, Problem, Severity, Terms, Verdict, Violation
from policyd.models.manifest import Product, StageState
from policyd.models.plan import PolicySetRef
from policyd.models.statement import DECISION_V1, LINK_V03, MANIFEST_V1, PROVENANCE_V1
from policyd.models.trust import Role, TrustedBuilder
from tests.attestation.made_run import (
    BUILDER_ID,
    NOW,
    ORGANISATION,
    OTHER_RUN_ID,
    PROJECT,
    ExampleLog,
    MadeRun,
    judged,
    key,
    make_decision,
    make_plan,
    make_role,
    make_run,
    make_trust,
    sha256,
)


def _payload(bundle: bytes) -> dict[str, object]:
    value = json.loads(read_base64(json.loads(bundle)["dsseEnvelope"]["payload"], where=""))
    assert isinstance(value, dict)
    return value


def _type_of(content: bytes) -> str:
    return str(_payload(content)["predicateType"]) if b"dsseEnvelope" in content else "plan"


def _refused(run: MadeRun, **arguments: object) -> tuple[PolicydError, list[Check]]:
    checks: list[Check] = []
    with pytest.raises(PolicydError) as caught:
        run.release(checks=checks, **arguments)  # type: ignore[arg-type]
    return caught.value, checks


def _failing_check(run: MadeRun, **arguments: object) -> tuple[type[PolicydError], int]:
    error, checks = _refused(run, **arguments)
    assert [check.number for check in checks] == list(range(1, len(checks) + 1))
    assert [check.passed for check in checks] == [True] * (len(checks) - 1) + [False]
    return type(error), checks[-1].number


def test_a_whole_run_releases_its_archive_and_every_check_is_listed() -> None:
    run = make_run()
    checks: list[Check] = []

    release = run.release(checks=checks)

    assert [(check.name, check.passed) for check in checks] == [(name, True) for name in CHECKS]
    assert (release.artifact.name, release.artifact.stage, release.artifact.output) == (
        "a-1.0.zip",
        "package",
        "archive",
    )
    assert [stage.stage for stage in release.stages] == ["build", "test", "package", "deploy"]
    assert [decision.stage for decision in release.decisions] == ["", "build", "test", "package", "deploy"]
    assert release.max_level == 2
    assert set(release.input_sha256s[1:]) == {
        digest for digest, content in run.evidence.items() if b"dsseEnvelope" in content
    }


def test_a_product_may_go_where_a_deploy_stage_takes_it() -> None:
    release = make_run().release(artifact=sha256("wheel"), target="production")

    assert (release.artifact.stage, release.target) == ("build", "production")


@pytest.mark.parametrize(
    ("artifact", "target"), [("archive", "production"), ("wheel", "local"), ("archive", "elsewhere"), ("wheel", "")]
)
def test_an_artifact_goes_only_to_the_targets_of_its_plan(artifact: str, target: str) -> None:
    assert _failing_check(make_run(), artifact=sha256(artifact), target=target) == (SubjectMismatch, 6)


@pytest.mark.parametrize("name", ["another file", "junit", "log of build", "source"])
def test_what_is_no_output_of_the_run_is_refused(name: str) -> None:
    """A result file or a log has a digest in the manifest too; only declared outputs are released."""
    assert _failing_check(make_run(), artifact=sha256(name)) == (SubjectMismatch, 5)


def test_a_result_file_filed_as_a_product_is_not_released() -> None:
    run = make_run()
    report = Product(output="unit", path="junit.xml", type="junit", sha256=sha256("junit"), size=9)
    run.records.pop("deploy")
    run.records.pop("package")
    run.run_stage("package", products=(*run.records["build"].products, report))
    run.run_stage("deploy")

    assert _failing_check(run, artifact=sha256("junit")) == (SubjectMismatch, 5)


def test_without_a_record_nothing_is_released() -> None:
    run = make_run()
    bundle = run.manifest_bundle()

    with pytest.raises(EvidenceMissing):
        verify_release(
            artifact_sha256=sha256("archive"),
            target="local",
            manifest_bundle=bundle,
            evidence=run.evidence,
            trust=run.trust,
            log=None,
            now=NOW,
            checks=[],
        )


def test_a_manifest_that_the_record_does_not_hold_is_refused() -> None:
    run = make_run()
    run.log = ExampleLog(b"another manifest")

    assert _failing_check(run) == (VerificationFailed, 2)


@pytest.mark.parametrize("signer", ["decider", "verifier"])
def test_a_manifest_signed_by_another_role_is_refused(signer: str) -> None:
    run = make_run()

    assert _failing_check(run, bundle=run.manifest_bundle(key(signer))) == (IdentityNotTrusted, 1)


def test_a_manifest_signed_by_nobody_known_is_refused() -> None:
    run = make_run()

    assert _failing_check(run, bundle=run.manifest_bundle(key("a stranger"))) == (SignatureInvalid, 1)


def test_another_statement_of_the_builder_is_no_manifest() -> None:
    run = make_run()
    provenance = next(content for content in run.evidence.values() if _type_of(content) == PROVENANCE_V1)

    assert _failing_check(run, bundle=provenance) == (VerificationFailed, 1)


def test_a_manifest_under_another_predicate_type_is_no_manifest() -> None:
    run = make_run()
    predicate = run.manifest().model_dump(mode="json", exclude_none=True)
    bundle = sign_statement(render_statement([Named("plan", run.plan.sha256)], LINK_V03, predicate), key("builder"))

    assert _failing_check(run, bundle=bundle) == (VerificationFailed, 1)


def test_a_manifest_bundle_that_is_no_bundle_is_refused() -> None:
    assert _failing_check(make_run(), bundle=b"{}") == (VerificationFailed, 1)


def test_a_manifest_with_an_unknown_field_is_refused() -> None:
    run = make_run()
    predicate = run.manifest().model_dump(mode="json", exclude_none=True) | {"extra": 1}
    bundle = sign_statement(render_statement([Named("plan", run.plan.sha256)], MANIFEST_V1, predicate), key("builder"))

    assert _failing_check(run, bundle=bundle) == (VerificationFailed, 1)


# --- Drop: whatever the manifest lists and nobody has is undecided. ---


def test_each_piece_of_evidence_that_is_dropped_leaves_the_release_undecided() -> None:
    run = make_run()
    bundle = run.manifest_bundle()

    for digest in run.evidence:
        rest = {other: content for other, content in run.evidence.items() if other != digest}
        error, _ = _refused(run, bundle=bundle, evidence=rest)
        assert isinstance(error, EvidenceMissing), digest
        assert digest in error.where


def test_each_piece_of_evidence_that_was_rewritten_in_the_store_leaves_the_release_undecided() -> None:
    run = make_run()
    bundle = run.manifest_bundle()

    for digest, content in run.evidence.items():
        changed = {**run.evidence, digest: content[:-2] + b"x" + content[-1:]}
        assert isinstance(_refused(run, bundle=bundle, evidence=changed)[0], EvidenceMissing)


def test_evidence_that_is_not_listed_changes_nothing() -> None:
    run, other = make_run(), make_run(run_id=OTHER_RUN_ID)
    bundle = run.manifest_bundle()

    release = run.release(bundle=bundle, evidence={**other.evidence, **run.evidence, sha256("junk"): b"junk"})

    assert release.manifest.run_id == run.run_id


# --- Flip: a byte changed anywhere in the manifest or in what it lists. ---


def test_each_bit_of_signature_and_payload_of_the_manifest_counts() -> None:
    run = make_run()
    bundle = run.manifest_bundle()
    value = json.loads(bundle)
    for field in ("payload", "sig"):
        holder = value["dsseEnvelope"] if field == "payload" else value["dsseEnvelope"]["signatures"][0]
        text = holder[field]
        for position in range(0, len(text) - 4, max(1, len(text) // 40)):
            holder[field] = text[:position] + ("A" if text[position] != "A" else "B") + text[position + 1 :]
            error, checks = _refused(run, bundle=json.dumps(value).encode())
            assert isinstance(error, VerificationFailed)
            assert checks[-1].number == 1
        holder[field] = text


# --- Swap: true evidence of something else. ---

Change = Callable[[MadeRun], None]


def _admitted_in_another_run(run: MadeRun) -> None:
    _replace_decision(run, run.admit("package", run_id=OTHER_RUN_ID))


def _admitted_for_another_stage(run: MadeRun) -> None:
    _replace_decision(run, run.admit("package", stage="build"))


def _admitted_for_another_attempt(run: MadeRun) -> None:
    _replace_decision(run, run.admit("package", attempt=2))


def _admitted_by_a_denial(run: MadeRun) -> None:
    _replace_decision(run, run.admit("package", verdict=Verdict.DENY))


def _admitted_without_a_rule(run: MadeRun) -> None:
    _replace_decision(run, run.admit("package", rules=()))


def _admitted_with_an_open_problem(run: MadeRun) -> None:
    _replace_decision(run, run.admit("package", problems=(Problem(message="timeout", where="rule"),)))


def _admitted_with_a_denial_inside(run: MadeRun) -> None:
    violation = Violation(
        rule="hygiene.missing_timeout",
        message="none",
        at=(),
        effect=Effect.DENY,
        level=Level.SOFT,
        severity=Severity.HIGH,
    )
    _replace_decision(run, run.admit("package", violations=(violation,)))


def _admitted_for_another_plan(run: MadeRun) -> None:
    _replace_decision(run, run.admit("package", plan_sha256=sha256("another plan")))


def _admitted_by_another_policy_set(run: MadeRun) -> None:
    _replace_decision(run, run.admit("package", policy_set=PolicySetRef(name="library", sha256=sha256("edited"))))


def _admitted_under_self_governance(run: MadeRun) -> None:
    _replace_decision(run, run.admit("package", governance="self"))


def _admitted_by_another_gate(run: MadeRun) -> None:
    _replace_decision(run, run.admit("package", gate=Gate.RELEASE))


def _admitted_by_the_check_decision(run: MadeRun) -> None:
    _replace_decision(run, run.evidence[run.check_sha256])


def _admitted_by_the_builder(run: MadeRun) -> None:
    payload = read_base64(json.loads(run.admit("package"))["dsseEnvelope"]["payload"], where="")
    _replace_decision(run, sign_statement(payload, key("builder")))


def _replace_decision(run: MadeRun, bundle: bytes) -> None:
    run.records["package"] = run.records["package"].model_copy(update={"decision": run.put(bundle)})


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (_admitted_in_another_run, SubjectMismatch),
        (_admitted_for_another_stage, SubjectMismatch),
        (_admitted_for_another_attempt, SubjectMismatch),
        (_admitted_by_a_denial, VerificationFailed),
        (_admitted_without_a_rule, VerificationFailed),
        (_admitted_with_an_open_problem, VerificationFailed),
        (_admitted_with_a_denial_inside, VerificationFailed),
        (_admitted_for_another_plan, SubjectMismatch),
        (_admitted_by_another_policy_set, SubjectMismatch),
        (_admitted_under_self_governance, SubjectMismatch),
        (_admitted_by_another_gate, SubjectMismatch),
        (_admitted_by_the_check_decision, SubjectMismatch),
        (_admitted_by_the_builder, IdentityNotTrusted),
    ],
)
def test_a_stage_admitted_by_something_else_is_refused(change: Change, error: type[PolicydError]) -> None:
    run = make_run()
    change(run)

    assert _failing_check(run) == (error, 9)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"verdict": Verdict.DENY}, VerificationFailed),
        ({"verdict": Verdict.NOT_EVALUATED, "rules": ()}, VerificationFailed),
        ({"verdict": Verdict.UNDECIDED}, VerificationFailed),
        ({"plan_sha256": sha256("another plan")}, SubjectMismatch),
        ({"plan_sha256": None}, SubjectMismatch),
        ({"run_id": OTHER_RUN_ID}, SubjectMismatch),
        ({"gate": Gate.STAGE}, SubjectMismatch),
        ({"gate": Gate.RELEASE}, SubjectMismatch),
        ({"stage": "build"}, SubjectMismatch),
        ({"governance": "self"}, SubjectMismatch),
        ({"policy_set": PolicySetRef(name="library", sha256=sha256("edited"))}, SubjectMismatch),
        ({"terms": None}, SubjectMismatch),
        ({"terms": Terms(collection="little")}, SubjectMismatch),
        ({"terms": Terms(collection="baseline", settings={"a.b": {"limit": 9}})}, SubjectMismatch),
        ({"layers": ()}, SubjectMismatch),
        ({"layers": (judged(ORGANISATION, sha256=sha256("edited")),)}, SubjectMismatch),
        ({"layers": (judged(ORGANISATION), judged(PROJECT))}, SubjectMismatch),
        ({"layers": (judged(ORGANISATION, verdict=Verdict.UNDECIDED),)}, VerificationFailed),
        ({"layers": (judged(ORGANISATION, verdict=Verdict.NOT_EVALUATED),)}, VerificationFailed),
    ],
)
def test_a_check_decision_that_does_not_allow_this_plan_is_refused(
    changes: dict[str, object], error: type[PolicydError]
) -> None:
    run = make_run()
    run.check(**changes)

    assert _failing_check(run) == (error, 7)


def _check_statement(run: MadeRun, *, subject: str, predicate_type: str = DECISION_V1, **changes: object) -> None:
    predicate = make_decision(run.plan, **changes).model_dump(mode="json", exclude_none=True)
    statement = render_statement([Named("plan", subject)], predicate_type, predicate)
    run.check_sha256 = run.put(sign_statement(statement, key("decider")))


def test_subject_and_content_of_a_decision_both_name_the_plan() -> None:
    run = make_run()

    _check_statement(run, subject=sha256("another plan"))
    assert _failing_check(run) == (SubjectMismatch, 7)

    _check_statement(run, subject=run.plan.sha256, plan_sha256=sha256("another plan"))
    assert _failing_check(run) == (SubjectMismatch, 7)


def test_a_decision_under_another_predicate_type_is_no_decision() -> None:
    run = make_run()
    other = "https://example.com/opinion/v1"
    run.trust = make_role(make_trust(), Role.DECIDER, predicate_types=(DECISION_V1, other))

    _check_statement(run, subject=run.plan.sha256, predicate_type=other)

    assert _failing_check(run) == (VerificationFailed, 7)


def test_a_policy_set_that_the_trust_policy_does_not_list_is_refused() -> None:
    run = make_run()
    run.trust = make_trust(policy_sets=())

    assert _failing_check(run) == (VerificationFailed, 7)


def test_an_edited_policy_set_is_refused_although_the_whole_run_used_it() -> None:
    edited = PolicySetRef(name="library", sha256=sha256("edited"))
    listed = make_trust(policy_sets=(edited.sha256,))
    layers = (ORGANISATION.model_copy(update={"sha256": edited.sha256}),)
    run = make_run(plan=make_plan(policy_set=edited, layers=layers), trust=listed)
    run.trust = make_trust()

    assert _failing_check(run) == (VerificationFailed, 7)


def test_a_manifest_without_decisions_is_refused() -> None:
    run = make_run()
    run.changes = {"decisions": ()}

    assert _failing_check(run) == (VerificationFailed, 7)


def test_a_denial_left_out_of_the_list_of_decisions_is_noticed() -> None:
    run = make_run()
    run.changes = {"decisions": run.manifest().decisions[:-1]}

    assert _failing_check(run) == (VerificationFailed, 8)


def test_a_stage_without_a_decision_is_refused() -> None:
    run = make_run()
    run.records["test"] = run.records["test"].model_copy(update={"decision": None})

    assert _failing_check(run) == (VerificationFailed, 8)


def test_an_attestation_left_out_of_the_manifest_is_noticed() -> None:
    run = make_run()
    run.changes = {"attestations": run.manifest().attestations[1:]}

    assert _failing_check(run) == (VerificationFailed, 9)


def test_attestations_stripped_from_a_stage_are_noticed() -> None:
    run = make_run()
    run.records["test"] = run.records["test"].model_copy(update={"attestations": ()})

    assert _failing_check(run) == (VerificationFailed, 9)


def test_a_stage_left_with_its_link_alone_is_refused() -> None:
    run = make_run()
    record = run.records["package"]
    link = next(digest for digest in record.attestations if _type_of(run.evidence[digest]) != PROVENANCE_V1)
    run.records["package"] = record.model_copy(update={"attestations": (link,)})

    assert _failing_check(run) == (VerificationFailed, 9)


def test_provenance_of_another_run_is_refused() -> None:
    run, other = make_run(), make_run(run_id=OTHER_RUN_ID)
    run.evidence.update(other.evidence)
    run.records["package"] = run.records["package"].model_copy(
        update={"attestations": other.records["package"].attestations}
    )

    assert _failing_check(run) == (SubjectMismatch, 9)


def test_provenance_of_another_stage_is_refused() -> None:
    run = make_run()
    swapped = run.records["build"].attestations, run.records["package"].attestations
    run.records["package"] = run.records["package"].model_copy(update={"attestations": swapped[0]})
    run.records["build"] = run.records["build"].model_copy(update={"attestations": swapped[1]})

    assert _failing_check(run) == (SubjectMismatch, 9)


def test_a_product_swapped_after_the_stage_is_refused() -> None:
    """The manifest says another digest than the stage's provenance does."""
    run = make_run()
    swapped = run.records["package"].products[0].model_copy(update={"sha256": sha256("swapped")})
    run.records["package"] = run.records["package"].model_copy(update={"products": (swapped,)})

    assert _failing_check(run, artifact=sha256("swapped")) == (SubjectMismatch, 9)


def test_a_product_swapped_between_two_stages_is_refused() -> None:
    """`package` was given another wheel than `build` left: its own provenance says so."""
    run = make_run()
    honest = run.records["build"]
    swapped = honest.products[0].model_copy(update={"sha256": sha256("swapped")})
    run.records["build"] = honest.model_copy(update={"products": (swapped,)})
    run.run_stage("package")
    run.records["build"] = honest

    assert _failing_check(run) == (SubjectMismatch, 9)


def test_provenance_signed_by_a_key_of_no_role_is_refused() -> None:
    run = make_run()
    run.run_stage("package", signer=key("a stranger"))

    assert _failing_check(run) == (SignatureInvalid, 9)


def test_provenance_signed_by_the_decider_is_refused() -> None:
    run = make_run()
    run.run_stage("package", signer=key("decider"))

    assert _failing_check(run) == (IdentityNotTrusted, 9)


def _forge_provenance(run: MadeRun, change: Callable[[dict[str, dict[str, dict[str, object]]]], None]) -> None:
    """Let the builder's own key sign changed provenance for `package`, listed in the manifest."""
    record = run.records["package"]
    digest = next(found for found in record.attestations if _type_of(run.evidence[found]) == PROVENANCE_V1)
    statement = _payload(run.evidence[digest])
    change(statement["predicate"])  # type: ignore[arg-type]
    forged = run.put(sign_statement(json.dumps(statement).encode(), key("builder")))
    others = tuple(found for found in record.attestations if found != digest)
    run.records["package"] = record.model_copy(update={"attestations": (forged, *others)})


@pytest.mark.parametrize(
    "parameter",
    [
        {"plan_sha256": sha256("another")},
        {"run_id": OTHER_RUN_ID},
        {"stage": "build"},
        {"attempt": 2},
        {"decisions": {"check": sha256("another"), "admit": sha256("another")}},
        {"unknown": "parameter"},
    ],
)
def test_every_external_parameter_counts(parameter: dict[str, object]) -> None:
    run = make_run()
    _forge_provenance(run, lambda predicate: predicate["buildDefinition"]["externalParameters"].update(parameter))

    error, check = _failing_check(run)

    assert issubclass(error, VerificationFailed)
    assert check == 9


def test_the_build_type_counts() -> None:
    run = make_run()
    _forge_provenance(run, lambda predicate: predicate["buildDefinition"].update(buildType="https://example.com/other"))  # type: ignore[call-overload]

    assert _failing_check(run) == (SubjectMismatch, 9)


def test_the_builder_id_counts() -> None:
    run = make_run()
    _forge_provenance(run, lambda predicate: predicate["runDetails"]["builder"].update(id="https://other.example"))

    assert _failing_check(run) == (SubjectMismatch, 9)


@pytest.mark.parametrize("material", ["pipeline", "source", "products/build.wheel/a-1.0.whl"])
def test_a_material_left_out_of_the_provenance_is_noticed(material: str) -> None:
    run = make_run()

    def leave_out(predicate: dict[str, dict[str, dict[str, object]]]) -> None:
        definition: dict[str, object] = predicate["buildDefinition"]  # type: ignore[assignment]
        dependencies = definition["resolvedDependencies"]
        assert isinstance(dependencies, list)
        definition["resolvedDependencies"] = [found for found in dependencies if found["name"] != material]

    _forge_provenance(run, leave_out)

    assert _failing_check(run) == (SubjectMismatch, 9)


@pytest.mark.parametrize(
    "dependency",
    [
        {"name": "products/build.wheel/b.whl", "digest": {"sha256": sha256("more")}},
        {"name": "tools/python", "digest": {"sha256": sha256("more")}},
        {"name": "source", "digest": {"sha256": sha256("more")}},
        {"name": "", "digest": {"sha256": sha256("more")}},
        {"uri": "https://example.com"},
    ],
)
def test_a_material_that_the_run_did_not_hand_over_is_refused(dependency: dict[str, object]) -> None:
    run = make_run()
    _forge_provenance(
        run,
        lambda predicate: predicate["buildDefinition"]["resolvedDependencies"].append(dependency),  # type: ignore[attr-defined]
    )

    assert _failing_check(run) == (SubjectMismatch, 9)


def test_files_fetched_for_a_tool_may_come_on_top() -> None:
    run = make_run()
    fetched = {"name": "tools/python/pip.whl", "digest": {"sha256": sha256("pip")}}
    _forge_provenance(
        run,
        lambda predicate: predicate["buildDefinition"]["resolvedDependencies"].append(fetched),  # type: ignore[attr-defined]
    )

    assert run.release().artifact.sha256 == sha256("archive")


# --- Plan and stages. ---


def test_a_failed_run_releases_nothing() -> None:
    run = make_run()
    run.records["deploy"] = run.records["deploy"].model_copy(update={"state": StageState.FAILED})

    assert _failing_check(run) == (VerificationFailed, 3)


def test_a_run_that_says_it_failed_releases_nothing() -> None:
    run = make_run()
    run.changes = {"succeeded": False}

    assert _failing_check(run) == (VerificationFailed, 3)


def test_a_run_without_stages_releases_nothing() -> None:
    run = make_run()
    run.records.clear()

    assert _failing_check(run) == (VerificationFailed, 3)


def test_a_stage_of_the_plan_that_did_not_run_is_noticed() -> None:
    run = make_run()
    del run.records["test"]

    assert _failing_check(run) == (SubjectMismatch, 4)


def test_a_stage_listed_twice_is_noticed() -> None:
    run = make_run()
    run.changes = {"stages": (*run.manifest().stages, run.records["test"])}

    assert _failing_check(run) == (SubjectMismatch, 4)


def test_a_plan_with_two_stages_of_one_name_is_refused() -> None:
    plan = make_plan()

    assert _failing_check(make_run(plan=make_plan(stages=(*plan.stages, plan.stages[0])))) == (SubjectMismatch, 4)


def test_an_input_that_no_stage_left_is_noticed() -> None:
    run = MadeRun()
    run.put(run.plan.to_json())
    run.check()
    run.run_stage("build", products=())
    for name in ("test", "package", "deploy"):
        run.run_stage(name)

    assert _failing_check(run) == (SubjectMismatch, 9)


@pytest.mark.parametrize(
    "change",
    [{"definition_sha256": sha256("other")}, {"target": "production"}, {"kind": "deploy"}],
    ids=["definition", "target", "kind"],
)
def test_a_stage_that_is_not_as_planned_is_refused(change: dict[str, object]) -> None:
    run = make_run()
    record = run.records["package"]
    run.records["package"] = record.model_validate_json(json.dumps(json.loads(record.to_json()) | change))

    assert _failing_check(run) == (SubjectMismatch, 9)


@pytest.mark.parametrize("change", [{"governance": "self"}, {"builder_id": "https://other.example"}, {"pipeline": "x"}])
def test_manifest_and_plan_must_agree(change: dict[str, object]) -> None:
    run = make_run()
    run.changes = change

    assert _failing_check(run) == (SubjectMismatch, 4)


def test_bytes_that_hash_right_and_are_no_plan_are_refused() -> None:
    run = make_run()
    run.changes = {"plan_sha256": run.put(b'{"policyd":"plan/v1"}')}

    assert _failing_check(run) == (VerificationFailed, 4)


# --- Builder and level. ---


@pytest.mark.parametrize(
    "builders",
    [
        (),
        (TrustedBuilder(id="https://other.example", key_sha256=key("builder").key_sha256, max_level=3),),
        (TrustedBuilder(id=BUILDER_ID, key_sha256=key("decider").key_sha256, max_level=3),),
        (TrustedBuilder(id=BUILDER_ID + "/", key_sha256=key("builder").key_sha256, max_level=3),),
    ],
    ids=["none", "another id", "another key", "a longer id"],
)
def test_a_builder_that_is_not_listed_with_its_key_is_refused(builders: tuple[TrustedBuilder, ...]) -> None:
    run = make_run()
    run.trust = make_trust(builders=builders)

    assert _failing_check(run) == (IdentityNotTrusted, 11)


def test_the_lowest_level_listed_counts() -> None:
    run = make_run()
    entries = tuple(
        TrustedBuilder(id=BUILDER_ID, key_sha256=key("builder").key_sha256, max_level=level) for level in (3, 1, 2)
    )
    run.trust = make_trust(builders=entries)

    assert run.release().max_level == 1


def test_without_an_operator_no_level_above_one_is_claimed() -> None:
    assert make_run(plan=make_plan(governance="self")).release().max_level == 1


def test_a_run_without_a_sandbox_claims_no_level_above_one() -> None:
    assert make_run(plan=make_plan(sandbox="none")).release().max_level == 1


def test_one_stage_outside_the_sandbox_is_enough_to_lower_the_level() -> None:
    run = make_run()
    run.run_stage("deploy", sandbox="none")

    assert run.release().max_level == 1


# --- Waivers and approvals. ---


@pytest.mark.parametrize("field", ["waivers", "approvals"])
def test_a_listed_waiver_or_approval_that_is_missing_is_undecided(field: str) -> None:
    run = make_run()
    run.changes = {field: (sha256("nowhere"),)}

    assert _failing_check(run) == (EvidenceMissing, 10)


@pytest.mark.parametrize(("signer", "error"), [("approver", None), ("a stranger", SignatureInvalid)])
def test_approvals_are_signed_by_their_role(signer: str, error: type[PolicydError] | None) -> None:
    """What a waiver has to be is in test_waived.py."""
    run = make_run()
    statement = render_statement([Named("plan", run.plan.sha256)], "https://example.com/approval/v1", {"ok": True})
    run.changes = {"approvals": (run.put(sign_statement(statement, key(signer))),)}

    if error is None:
        assert run.release().manifest.run_id == run.run_id
    else:
        assert _failing_check(run) == (error, 10)


def test_the_digest_of_the_manifest_is_of_the_bundle_that_was_verified() -> None:
    run = make_run()
    bundle = run.manifest_bundle()

    assert run.release(bundle=bundle).manifest_sha256 == hashlib.sha256(bundle).hexdigest()
