from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from policyd.attestation.statements import Named, decision_statement, render_statement, sign_statement
from policyd.attestation.summary import (
    RELEASE_EXTENSION,
    VerifiedSummary,
    resource_uri,
    summarise,
    summary_statement,
    verify_summary,
)
from policyd.errors import IdentityNotTrusted, PolicydError, SignatureInvalid, SubjectMismatch, VerificationFailed
from policyd.models.decision import Decision, Gate, Verdict
from policyd.models.plan import PolicySetRef
from policyd.models.statement import PROVENANCE_V1, VSA_V1
from policyd.models.trust import Role, TrustedVerifier, TrustPolicy
from tests.attestation.made_run import (
    CHECKPOINT,
    NOW,
    OTHER_RUN_ID,
    VERIFIER_ID,
    MadeRun,
    key,
    make_decision,
    make_role,
    make_run,
    make_trust,
    sha256,
)

TARGET_URI = "https://packages.example/simple"


def _decide(run: MadeRun, **changes: object) -> Decision:
    values = {
        "gate": Gate.RELEASE,
        "subject": "a-1.0.zip",
        "run_id": run.run_id,
        "target": "local",
        "artifact_sha256": sha256("archive"),
        **changes,
    }
    return make_decision(run.plan, **values)


def _summary(run: MadeRun, decision: Decision) -> bytes:
    release = run.release()
    bundle = sign_statement(decision_statement(decision), key("decider"))
    return summary_statement(
        summarise(release),
        decision,
        decision_sha256=run.put(bundle),
        verifier_id=VERIFIER_ID,
        target_uri=TARGET_URI,
        checkpoint=CHECKPOINT,
        time_verified="2026-05-01T12:00:00Z",
    )


def _verify(
    payload: bytes, trust: TrustPolicy | None = None, *, signer: str = "verifier", **changes: object
) -> VerifiedSummary:
    arguments: dict[str, object] = {"artifact_sha256": sha256("archive"), "target_uri": TARGET_URI, **changes}
    bundle = sign_statement(payload, key(signer))
    return verify_summary(bundle, trust or make_trust(), now=NOW, where="vsa.json", **arguments)  # type: ignore[arg-type]


def test_a_release_that_is_allowed_has_a_summary_anyone_can_verify() -> None:
    run = make_run()
    payload = _summary(run, _decide(run))

    verified = _verify(payload, minimum_level=2)

    assert verified.build_level == 2
    assert verified.summary.resource_uri == "https://packages.example/simple/a-1.0.zip"
    assert verified.summary.release is not None
    assert verified.summary.release.run_id == run.run_id
    assert verified.summary.release.checkpoint == CHECKPOINT


def test_the_summary_names_every_attestation_it_rests_on() -> None:
    """SLSA v1.2: if inputAttestations is there, it has to name all."""
    run = make_run()

    predicate = json.loads(_summary(run, _decide(run)))["predicate"]

    named = {entry["digest"]["sha256"] for entry in predicate["inputAttestations"]}
    assert named >= {digest for digest, content in run.evidence.items() if b"dsseEnvelope" in content}
    assert predicate["policy"]["digest"] == {"sha256": run.plan.policy_set.sha256}
    assert predicate["policy"]["uri"] == "https://policyd.dev/policy-set/library"
    assert predicate["slsaVersion"] == "1.2"
    assert predicate["timeVerified"] == "2026-05-01T12:00:00Z"


@pytest.mark.parametrize("verdict", [Verdict.DENY, Verdict.UNDECIDED, Verdict.NOT_EVALUATED])
def test_only_allow_makes_a_summary_that_passes(verdict: Verdict) -> None:
    run = make_run()
    payload = _summary(run, _decide(run, verdict=verdict))

    assert json.loads(payload)["predicate"]["verifiedLevels"] == ["FAILED"]
    with pytest.raises(VerificationFailed, match="FAILED"):
        _verify(payload)


@pytest.mark.parametrize(
    "change",
    [
        {"gate": Gate.STAGE},
        {"gate": Gate.PIPELINE},
        {"run_id": OTHER_RUN_ID},
        {"run_id": None},
        {"target": "production"},
        {"target": None},
        {"artifact_sha256": sha256("another")},
        {"artifact_sha256": None},
        {"plan_sha256": sha256("another")},
        {"policy_set": PolicySetRef(name="library", sha256=sha256("another"))},
    ],
    ids=str,
)
def test_a_decision_about_something_else_makes_no_summary(change: dict[str, object]) -> None:
    run = make_run()

    with pytest.raises(SubjectMismatch):
        _summary(run, _decide(run, **change))


def _changed(change: Callable[[dict[str, object]], None]) -> bytes:
    run = make_run()
    statement = json.loads(_summary(run, _decide(run)))
    change(statement["predicate"])
    return json.dumps(statement).encode()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"artifact_sha256": sha256("another")}, SubjectMismatch),
        ({"target_uri": "https://elsewhere.example/simple"}, SubjectMismatch),
        ({"target_uri": TARGET_URI + "/more"}, SubjectMismatch),
        ({"target_uri": ""}, SubjectMismatch),
        ({"minimum_level": 3}, VerificationFailed),
        ({"signer": "builder"}, IdentityNotTrusted),
        ({"signer": "a stranger"}, SignatureInvalid),
    ],
    ids=str,
)
def test_a_summary_for_something_else_is_refused(arguments: dict[str, object], error: type[PolicydError]) -> None:
    with pytest.raises(PolicydError) as caught:
        _verify(_changed(lambda _: None), **arguments)  # type: ignore[arg-type]

    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"verificationResult": "FAILED"}, VerificationFailed),
        ({"verificationResult": "passed"}, VerificationFailed),
        ({"verifiedLevels": []}, VerificationFailed),
        ({"verifiedLevels": ["FAILED"]}, VerificationFailed),
        ({"verifiedLevels": ["SLSA_BUILD_LEVEL_UNEVALUATED"]}, VerificationFailed),
        ({"verifiedLevels": ["SLSA_BUILD_LEVEL_1", "SLSA_BUILD_LEVEL_3"]}, VerificationFailed),
        ({"verifier": {"id": "https://other.example"}}, IdentityNotTrusted),
        ({"verifier": {}}, VerificationFailed),
        ({"resourceUri": "https://packages.example/simple"}, SubjectMismatch),
        ({"resourceUri": "https://packages.example/simple/b.zip"}, SubjectMismatch),
        ({RELEASE_EXTENSION: {"target": "local"}}, VerificationFailed),
    ],
    ids=str,
)
def test_every_field_of_the_verification_procedure_counts(change: dict[str, object], error: type[PolicydError]) -> None:
    with pytest.raises(PolicydError) as caught:
        _verify(_changed(lambda predicate: predicate.update(change)))

    assert type(caught.value) is error


def test_another_verifiers_level_and_extra_fields_are_read() -> None:
    payload = _changed(lambda predicate: predicate.update(verifiedLevels=["SLSA_BUILD_LEVEL_3", "OWN"], more=1))

    assert _verify(payload).build_level == 3


@pytest.mark.parametrize(
    "verifiers",
    [
        (),
        (TrustedVerifier(id=VERIFIER_ID, key_sha256=key("decider").key_sha256),),
        (TrustedVerifier(id="https://other.example", key_sha256=key("verifier").key_sha256),),
    ],
    ids=["none", "another key", "another id"],
)
def test_a_verifier_counts_only_with_its_key(verifiers: tuple[TrustedVerifier, ...]) -> None:
    with pytest.raises(IdentityNotTrusted):
        _verify(_changed(lambda _: None), make_trust(verifiers=verifiers))


def test_another_predicate_type_is_no_summary() -> None:
    trust = make_role(make_trust(), Role.VERIFIER, predicate_types=(VSA_V1, PROVENANCE_V1))
    payload = render_statement([Named("a-1.0.zip", sha256("archive"))], PROVENANCE_V1, {"a": 1})

    with pytest.raises(SubjectMismatch, match="provenance"):
        _verify(payload, trust)


def test_a_summary_with_a_second_subject_is_refused() -> None:
    run = make_run()
    statement = json.loads(_summary(run, _decide(run)))
    statement["subject"].append({"name": "b.zip", "digest": {"sha256": sha256("archive")}})

    with pytest.raises(SubjectMismatch):
        _verify(json.dumps(statement).encode())


def test_a_summary_of_a_nameless_subject_is_refused() -> None:
    """Without a name there is no expected place."""
    run = make_run()
    statement = json.loads(_summary(run, _decide(run)))
    del statement["subject"][0]["name"]
    statement["predicate"]["resourceUri"] = f"{TARGET_URI}/"

    with pytest.raises(SubjectMismatch):
        _verify(json.dumps(statement).encode())


@pytest.mark.parametrize(
    ("target", "name", "uri"),
    [
        ("https://a.example/", "b.zip", "https://a.example/b.zip"),
        ("policyd://local", "b.zip", "policyd://local/b.zip"),
        ("https://a.example", "../b?c#d", "https://a.example/..%2Fb%3Fc%23d"),
    ],
)
def test_an_artifacts_place_is_its_targets_with_its_name(target: str, name: str, uri: str) -> None:
    assert resource_uri(target, name) == uri
