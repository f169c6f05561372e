"""Keyless identities in roles of a trust policy."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import pytest
from pydantic import ValidationError

from policyd.attestation.trust import VerifiedStatement, verify_bundle
from policyd.attestation.trust_policy import check_trust_policy
from policyd.errors import DocumentError, IdentityNotTrusted, SettingsError, ThresholdNotMet, VerificationFailed
from policyd.models.statement import PROVENANCE_V1
from policyd.models.trust import Instance, Role, RolePolicy, TrustedIdentity, TrustPolicy
from tests.attestation.keyless import instance as made
from tests.attestation.keyless.instance import IDENTITY, ISSUER, NOW, SIGNED_AT, LeafOptions, Value
from tests.attestation.made_run import key, make_role, make_trust, trusted

DAY = timedelta(days=1)


@cache
def _instance(name: str = "example") -> made.Instance:
    return made.Instance(made.Certificates(name))


@cache
def _bundle(version: str = "0.3") -> bytes:
    bundle = _instance().bundle(payload=made.statement(), version=version)
    return json.dumps(bundle).encode()


def listed(**changes: Any) -> TrustedIdentity:
    fields = {"person": "release", "issuer": ISSUER, "identity": IDENTITY, "instance": "example", **changes}
    return TrustedIdentity(**fields)


def trust_in(*identities: TrustedIdentity, **changes: Any) -> TrustPolicy:
    role = RolePolicy(**{"identities": identities, "predicate_types": (PROVENANCE_V1,), **changes})
    instances = tuple(
        Instance(name=name, trusted_root=json.dumps(_instance(name).trusted_root())) for name in ("example", "other")
    )
    trust = make_trust(instances=instances)
    return trust.model_copy(update={"roles": {**trust.roles, Role.SCANNER: role}})


def verify(trust: TrustPolicy, content: bytes | None = None, *, now: datetime = NOW) -> VerifiedStatement:
    return verify_bundle(content or _bundle(), trust, role=Role.SCANNER, now=now, where="scan.json")


def test_an_identity_of_the_role_counts_as_its_person() -> None:
    found = verify(trust_in(listed()))

    assert found.signers == {"release"}
    assert found.role is Role.SCANNER
    assert found.statement.predicate_type == PROVENANCE_V1


def test_a_pattern_takes_the_whole_identity() -> None:
    pattern = r"https://github\.com/example/project/\.github/workflows/release\.yml@refs/tags/v[0-9]+"

    assert verify(trust_in(listed(identity=None, pattern=pattern))).signers == {"release"}
    with pytest.raises(IdentityNotTrusted, match="is not listed for the role scanner"):
        verify(trust_in(listed(identity=None, pattern=r"https://github\.com/example/project")))


@pytest.mark.parametrize(
    "entry",
    [{"identity": f"{IDENTITY}0"}, {"identity": IDENTITY[:-1]}, {"issuer": "https://gitlab.com"}],
    ids=["longer", "shorter", "another issuer"],
)
def test_another_identity_is_refused(entry: dict[str, str]) -> None:
    with pytest.raises(IdentityNotTrusted, match="is not listed for the role scanner"):
        verify(trust_in(listed(**entry)))


def test_the_same_name_at_another_instance_is_somebody_else() -> None:
    """Whoever runs an instance of their own can issue any name there."""
    with pytest.raises(VerificationFailed):
        verify(trust_in(listed(instance="other")))

    both = verify(trust_in(listed(instance="other", person="imposter"), listed()))
    assert both.signers == {"release"}


@pytest.mark.parametrize(
    ("window", "cause"),
    [
        ({"revoked_at": SIGNED_AT}, "was revoked at"),
        ({"valid_until": SIGNED_AT}, "was valid until"),
        ({"valid_from": SIGNED_AT + DAY}, "is valid only from"),
    ],
    ids=["revoked", "ended", "not yet"],
)
def test_an_identity_counts_by_when_it_signed(window: dict[str, datetime], cause: str) -> None:
    with pytest.raises(IdentityNotTrusted, match=f"the identity of release {cause}"):
        verify(trust_in(listed(**window)))


def test_what_was_signed_before_a_revocation_stays_good() -> None:
    assert verify(trust_in(listed(revoked_at=SIGNED_AT + DAY, valid_until=SIGNED_AT + DAY))).signers == {"release"}


def test_a_role_without_identities_takes_no_certificate() -> None:
    trust = make_trust()

    with pytest.raises(IdentityNotTrusted, match="is not listed for the role builder"):
        verify_bundle(_bundle(), trust, role=Role.BUILDER, now=NOW, where="x")


def test_a_bundle_with_a_certificate_never_counts_for_the_key_in_it() -> None:
    """The certificate's key, listed as a managed key, says nothing of logs and times."""
    leaf = made.private_key("p256", "leaf")
    trust = make_role(make_trust(), Role.BUILDER, keys=(trusted(key("builder"), "b"),))
    entry = trust.roles[Role.BUILDER].keys[0].model_copy(update={"public_key": made.public_pem(leaf)})

    with pytest.raises(IdentityNotTrusted):
        verify_bundle(_bundle(), make_role(trust, Role.BUILDER, keys=(entry,)), role=Role.BUILDER, now=NOW, where="x")


def test_a_changed_payload_or_signature_is_refused() -> None:
    value: Value = json.loads(_bundle())
    value["dsseEnvelope"]["payload"] = made.b64(made.statement(b"another"))

    with pytest.raises(VerificationFailed, match="not by the certificate's key"):
        verify(trust_in(listed()), json.dumps(value).encode())


def test_a_bundle_without_its_log_entry_is_refused() -> None:
    value: Value = json.loads(_bundle())
    value["verificationMaterial"]["tlogEntries"] = []

    with pytest.raises(VerificationFailed):
        verify(trust_in(listed()), json.dumps(value).encode())


def test_a_predicate_type_of_another_role_is_refused() -> None:
    with pytest.raises(IdentityNotTrusted, match="may not sign the predicate type"):
        verify(trust_in(listed(), predicate_types=("https://example.com/other",)))


def test_a_threshold_of_two_is_not_met_by_one_certificate() -> None:
    twice = listed(identity=None, pattern=r"https://github\.com/example/.*", person="second")

    with pytest.raises(ThresholdNotMet):
        verify(trust_in(listed(), twice, threshold=2))


def test_a_kind_of_key_that_is_not_allowed_is_refused() -> None:
    with pytest.raises(IdentityNotTrusted, match=r"ecdsa-p256, and scanner may sign with ed25519"):
        verify(trust_in(listed(), algorithms=("ed25519",)))

    p384 = _instance().bundle(payload=made.statement(), leaf=LeafOptions(kind="p384"))
    assert verify(trust_in(listed(), algorithms=("ecdsa-p384",)), json.dumps(p384).encode()).signers == {"release"}


def test_older_bundles_count_where_the_trust_policy_says_so() -> None:
    trust = trust_in(listed())

    with pytest.raises(DocumentError):
        verify(trust, _bundle("0.2"))
    assert verify(trust.model_copy(update={"min_bundle_version": "v0.1"}), _bundle("0.2")).signers == {"release"}


@pytest.mark.parametrize(
    ("entry", "cause"),
    [
        ({"identity": None, "pattern": ".*"}, "is for anybody"),
        ({"identity": None, "pattern": "("}, "can't be used"),
        ({"instance": "nowhere"}, "there is no instance nowhere"),
    ],
    ids=["everybody", "no expression", "no instance"],
)
def test_an_identity_that_can_not_be_meant_is_refused_when_read(entry: dict[str, Any], cause: str) -> None:
    with pytest.raises(SettingsError, match=cause):
        check_trust_policy(trust_in(listed(**entry)))


@pytest.mark.parametrize("entry", [{"identity": None}, {"pattern": "a"}], ids=["neither", "both"])
def test_an_identity_is_named_in_one_way(entry: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="one of the two"):
        listed(**entry)


def test_an_identity_in_two_roles_is_refused() -> None:
    trust = trust_in(listed())
    builder = trust.roles[Role.BUILDER].model_copy(update={"identities": (listed(),)})

    with pytest.raises(SettingsError, match="is listed twice, for builder and scanner"):
        check_trust_policy(trust.model_copy(update={"roles": {**trust.roles, Role.BUILDER: builder}}))


@pytest.mark.parametrize(
    "role", [Role.LOG, Role.REQUESTER, Role.WAIVER_APPROVER, Role.POLICY_AUTHOR, Role.TRUST_AUTHOR]
)
def test_roles_that_sign_without_certificates_take_keys_alone(role: Role) -> None:
    trust = trust_in(listed())
    policy = RolePolicy(identities=(listed(identity="somebody"),), predicate_types=("x",))

    with pytest.raises(SettingsError, match="no room for a certificate"):
        check_trust_policy(trust.model_copy(update={"roles": {**trust.roles, role: policy}}))


def test_an_instance_has_a_trusted_root_and_a_name_of_its_own() -> None:
    trust = trust_in(listed())

    with pytest.raises(SettingsError, match="the media type is"):
        check_trust_policy(trust.model_copy(update={"instances": (Instance(name="example", trusted_root="{}"),)}))
    with pytest.raises(SettingsError, match="an instance is listed twice"):
        check_trust_policy(trust.model_copy(update={"instances": (*trust.instances, trust.instances[0])}))
