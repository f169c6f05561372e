from __future__ import annotations

import json

import pytest

from policyd.attestation.dsse import read_base64
from policyd.attestation.evidence import Evidence
from policyd.attestation.stage import Sbom, attest_stage, verify_stage
from policyd.errors import EvidenceMissing, IdentityNotTrusted, PolicydError, SubjectMismatch, VerificationFailed
from policyd.models.decision import Verdict
from policyd.models.manifest import StageState
from policyd.models.statement import CYCLONEDX, LINK_V03, PROVENANCE_V1, TEST_RESULT_V01
from tests.attestation.made_run import NOW, OTHER_RUN_ID, MadeRun, key, make_run, sha256


def _attest(run: MadeRun, stage: str, admit_bundle: bytes, **changes: object) -> tuple[bytes, ...]:
    record = run.records[stage].model_copy(update={"decision": run.put(admit_bundle), **changes})
    return attest_stage(
        record,
        run=run.bound,
        admit_bundle=admit_bundle,
        inputs=run.inputs(stage),
        trust=run.trust,
        signer=key("builder"),
        now=NOW,
    )


def _types(bundles: tuple[bytes, ...]) -> list[str]:
    payloads = [read_base64(json.loads(bundle)["dsseEnvelope"]["payload"], where="") for bundle in bundles]
    return [json.loads(payload)["predicateType"] for payload in payloads]


def test_a_stage_is_attested_by_link_provenance_and_its_test_results() -> None:
    run = make_run()

    assert _types(_attest(run, "test", run.admit("test"))) == [LINK_V03, PROVENANCE_V1, TEST_RESULT_V01]


def test_a_failed_stage_has_a_link_and_no_provenance() -> None:
    run = make_run()

    bundles = _attest(run, "build", run.admit("build"), state=StageState.FAILED, exit_code=1)

    assert _types(bundles) == [LINK_V03]


def test_an_sbom_of_the_stage_is_attested() -> None:
    run = make_run()
    bundle = run.admit("build")

    bundles = attest_stage(
        run.records["build"].model_copy(update={"decision": run.put(bundle)}),
        run=run.bound,
        admit_bundle=bundle,
        inputs={},
        trust=run.trust,
        signer=key("builder"),
        now=NOW,
        sboms=[Sbom(CYCLONEDX, {"bomFormat": "CycloneDX"})],
    )

    assert _types(bundles)[-1] == CYCLONEDX


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"verdict": Verdict.DENY}, VerificationFailed),
        ({"verdict": Verdict.UNDECIDED}, VerificationFailed),
        ({"run_id": OTHER_RUN_ID}, SubjectMismatch),
        ({"stage": "build"}, SubjectMismatch),
        ({"attempt": 2}, SubjectMismatch),
        ({"plan_sha256": sha256("another")}, SubjectMismatch),
    ],
)
def test_nothing_is_signed_for_a_stage_that_was_not_admitted(
    changes: dict[str, object], error: type[PolicydError]
) -> None:
    run = make_run()

    with pytest.raises(error):
        _attest(run, "package", run.admit("package", **changes))


def test_nothing_is_signed_with_another_decision_than_the_record_names() -> None:
    run = make_run()

    with pytest.raises(SubjectMismatch, match="not the one the stage record names"):
        attest_stage(
            run.records["package"],
            run=run.bound,
            admit_bundle=run.admit("package", subject="another time"),
            inputs=run.inputs("package"),
            trust=run.trust,
            signer=key("builder"),
            now=NOW,
        )


def test_rules_see_a_stage_by_its_verified_evidence() -> None:
    run = make_run()

    verified = verify_stage(
        run.records["test"],
        run=run.bound,
        inputs=run.inputs("test"),
        evidence=Evidence(run.evidence),
        trust=run.trust,
        now=NOW,
    )

    assert verified.evidence.predicate_types == sorted([LINK_V03, PROVENANCE_V1, TEST_RESULT_V01])
    assert verified.evidence.signers == ["builder@example.com"]
    assert verified.evidence.results[0].passed
    assert (verified.evidence.run_id, verified.evidence.plan_sha256) == (run.run_id, run.plan.sha256)


def test_a_stage_that_the_plan_does_not_have_is_refused() -> None:
    run = make_run()

    with pytest.raises(SubjectMismatch, match="no such stage"):
        verify_stage(
            run.records["test"].model_copy(update={"name": "scan"}),
            run=run.bound,
            inputs={},
            evidence=Evidence(run.evidence),
            trust=run.trust,
            now=NOW,
        )


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"state": StageState.FAILED}, VerificationFailed),
        ({"decision": None}, VerificationFailed),
        ({"decision": sha256("nowhere")}, EvidenceMissing),
        ({"attestations": ()}, VerificationFailed),
        ({"attestations": (sha256("nowhere"),)}, EvidenceMissing),
    ],
    ids=str,
)
def test_a_stage_without_all_its_evidence_is_no_evidence(change: dict[str, object], error: type[PolicydError]) -> None:
    run = make_run()

    with pytest.raises(PolicydError) as caught:
        verify_stage(
            run.records["build"].model_copy(update=change),
            run=run.bound,
            inputs={},
            evidence=Evidence(run.evidence),
            trust=run.trust,
            now=NOW,
        )

    assert type(caught.value) is error


def test_a_listed_attestation_by_another_role_is_refused_beside_good_ones() -> None:
    """All that is listed has to hold, not any one of it (docs/threats.md, T7)."""
    run = make_run()
    record = run.records["build"]
    stranger = run.put(run.admit("build"))

    with pytest.raises(IdentityNotTrusted):
        verify_stage(
            record.model_copy(update={"attestations": (*record.attestations, stranger)}),
            run=run.bound,
            inputs={},
            evidence=Evidence(run.evidence),
            trust=run.trust,
            now=NOW,
        )


def test_a_listed_attestation_that_is_no_bundle_is_refused() -> None:
    run = make_run()
    record = run.records["build"]

    with pytest.raises(VerificationFailed):
        verify_stage(
            record.model_copy(update={"attestations": (*record.attestations, run.put(b"junk"))}),
            run=run.bound,
            inputs={},
            evidence=Evidence(run.evidence),
            trust=run.trust,
            now=NOW,
        )
