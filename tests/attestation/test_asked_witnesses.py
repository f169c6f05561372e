"""Witnesses that a role of the trust policy asks for: one that is missing or bad is refused by its check's number."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import get_args

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from policyd.attestation.attested import Describer
from policyd.attestation.trust import VerifiedStatement, verify_bundle
from policyd.attestation.trust_policy import check_trust_policy, read_trust_policy
from policyd.errors import SettingsError, VerificationFailed
from policyd.models.canonical import sha256_hex
from policyd.models.statement import PROVENANCE_V1
from policyd.models.trust import (
    KEYS_ONLY,
    Instance,
    Role,
    RolePolicy,
    TimestampAuthority,
    TrustedIdentity,
    TrustedKey,
    TrustPolicy,
    Witness,
)
from tests.attestation.keyless import instance as made
from tests.attestation.keyless.instance import IDENTITY, ISSUER, NOW, SIGNED_AT, Value
from tests.attestation.made_run import make_trust

DAY = timedelta(days=1)
ALL: tuple[Witness, ...] = get_args(Witness)
MANAGED = "asked witnesses"
INSTANCE = made.Instance(made.Certificates("asked witnesses"))
CHECKS = {"inclusion-proof": 5, "signed-entry-timestamp": 5, "timestamp": 7}
SIGNERS = ["key", "identity"]


@cache
def _made(signer: str, version: str, stamp: datetime | None) -> str:
    """Return a bundle whose log entry has a proof and a promise, with a timestamp where a time is given for it."""
    return json.dumps(
        INSTANCE.bundle(
            payload=made.statement(),
            version=version,
            stamps=[] if stamp is None else [stamp],
            managed=MANAGED if signer == "key" else None,
        )
    )


def bundle(signer: str, *, version: str = "0.3", stamp: datetime | None = SIGNED_AT) -> Value:
    value: Value = json.loads(_made(signer, version, stamp))
    return value


def entry(value: Value) -> Value:
    first: Value = value["verificationMaterial"]["tlogEntries"][0]
    return first


def lacking(witness: Witness, signer: str) -> Value:
    """Return a bundle that has every witness but one, and holds without it."""
    if witness == "timestamp":
        return bundle(signer, stamp=None)
    # Only a bundle v0.1 may come without a proof, and it has to have a promise.
    value = bundle(signer, version="0.1" if witness == "inclusion-proof" else "0.3")
    del entry(value)["inclusionProof" if witness == "inclusion-proof" else "inclusionPromise"]
    return value


def authority(name: str = "tsa") -> TimestampAuthority:
    clock = INSTANCE.clock if name == "tsa" else made.Clock(name)
    chain = b"".join(one.public_bytes(Encoding.PEM) for one in (clock.leaf, clock.root))
    return TimestampAuthority(name="tsa", certificate_chain=chain.decode())


def trust_of(signer: str, witnesses: Sequence[Witness] | None, **changes: object) -> TrustPolicy:
    listed: dict[str, object] = (
        {"keys": (TrustedKey(public_key=made.public_pem(made.private_key("p256", MANAGED)), person="scan"),)}
        if signer == "key"
        else {"identities": (TrustedIdentity(person="scan", issuer=ISSUER, identity=IDENTITY, instance="example"),)}
    )
    fields = {**listed, "predicate_types": (PROVENANCE_V1,), "witnesses": witnesses and tuple(witnesses)}
    trust = make_trust(
        instances=(Instance(name="example", trusted_root=json.dumps(INSTANCE.trusted_root())),),
        timestamp_authorities=(authority(),),
        min_bundle_version="v0.1",
    )
    return trust.model_copy(update={"roles": {**trust.roles, Role.SCANNER: RolePolicy(**fields)}, **changes})  # type: ignore[arg-type]


def verify(value: Value, trust: TrustPolicy, *, now: datetime = NOW) -> VerifiedStatement:
    return verify_bundle(json.dumps(value).encode(), trust, role=Role.SCANNER, now=now, where="scan.json")


def check_that_fails(value: Value, trust: TrustPolicy, *, now: datetime = NOW) -> int | None:
    with pytest.raises(VerificationFailed) as refusal:
        verify(value, trust, now=now)
    return refusal.value.check


@pytest.mark.parametrize("signer", SIGNERS)
@pytest.mark.parametrize("witness", ALL)
def test_a_bundle_without_the_witness_that_is_asked_for_is_refused(witness: Witness, signer: str) -> None:
    value = lacking(witness, signer)

    assert check_that_fails(value, trust_of(signer, [witness])) == CHECKS[witness]
    # It is that witness and nothing else: without being asked for, or where the others are, it counts.
    assert verify(value, trust_of(signer, None)).signers == {"scan"}
    assert verify(value, trust_of(signer, [one for one in ALL if one != witness])).signers == {"scan"}


@pytest.mark.parametrize("signer", SIGNERS)
@pytest.mark.parametrize("witnesses", [*([one] for one in ALL), ALL], ids=[*ALL, "all"])
def test_a_bundle_with_the_witnesses_that_are_asked_for_counts(witnesses: Sequence[Witness], signer: str) -> None:
    assert verify(bundle(signer), trust_of(signer, witnesses)).signers == {"scan"}


@pytest.mark.parametrize("witness", ALL)
def test_rules_see_the_number_of_the_check(witness: Witness) -> None:
    content = json.dumps(lacking(witness, "key")).encode()

    fact = Describer(trust_of("key", [witness]), sha256_hex(made.CONTENT), NOW).judge(content)

    assert (fact.verified, fact.check) == (False, CHECKS[witness])
    assert f"the bundle has no {witness}, which the role scanner must have" in fact.reason


def test_rules_see_which_check_of_an_identity_failed() -> None:
    value = bundle("identity")
    value["verificationMaterial"]["tlogEntries"] = []
    content = json.dumps(value).encode()

    fact = Describer(trust_of("identity", None), sha256_hex(made.CONTENT), NOW).judge(content)

    assert (fact.verified, fact.check) == (False, 5)


@pytest.mark.parametrize("witness", ALL)
def test_an_envelope_without_a_bundle_has_no_witness(witness: Witness) -> None:
    envelope = bundle("key")["dsseEnvelope"]

    assert check_that_fails(envelope, trust_of("key", [witness])) == CHECKS[witness]
    assert verify(envelope, trust_of("key", None)).signers == {"scan"}


# --- a managed key's witnesses are verified, since nobody else does ---


def _other_root(value: Value) -> None:
    entry(value)["inclusionProof"]["rootHash"] = made.b64(bytes(32))


def _other_checkpoint(value: Value) -> None:
    entry(value)["inclusionProof"]["checkpoint"] = entry(bundle("identity"))["inclusionProof"]["checkpoint"]


def _other_promise(value: Value) -> None:
    entry(value)["inclusionPromise"] = entry(bundle("identity"))["inclusionPromise"]


def _other_entry(value: Value) -> None:
    value["verificationMaterial"]["tlogEntries"] = [entry(bundle("identity"))]


def _unknown_log(value: Value) -> None:
    entry(value)["logId"]["keyId"] = made.b64(bytes(32))


@pytest.mark.parametrize(
    ("tamper", "check"),
    [(_other_root, 5), (_other_checkpoint, 5), (_other_promise, 5), (_unknown_log, 5), (_other_entry, 6)],
)
@pytest.mark.parametrize("witness", ["inclusion-proof", "signed-entry-timestamp"])
def test_a_log_entry_of_a_key_that_does_not_hold_is_refused(
    tamper: Callable[[Value], None], check: int, witness: Witness
) -> None:
    value = bundle("key")
    tamper(value)

    assert check_that_fails(value, trust_of("key", [witness])) == check


def test_a_timestamp_by_an_authority_that_is_not_listed_is_no_witness() -> None:
    asked = trust_of("key", ["timestamp"])

    assert check_that_fails(bundle("key"), asked.model_copy(update={"timestamp_authorities": ()})) == 7
    stranger = asked.model_copy(update={"timestamp_authorities": (authority("stranger"),)})
    assert check_that_fails(bundle("key"), stranger) == 7


def test_the_timestamp_of_another_signature_is_no_witness() -> None:
    value = bundle("key", stamp=None)
    other = bundle("identity")["verificationMaterial"]["timestampVerificationData"]
    value["verificationMaterial"]["timestampVerificationData"] = other

    assert check_that_fails(value, trust_of("key", ["timestamp"])) == 7


def test_a_timestamp_may_be_ahead_of_this_clock_by_minutes_and_no_more() -> None:
    asked = trust_of("key", ["timestamp"])

    assert verify(bundle("key"), asked, now=SIGNED_AT - timedelta(minutes=4)).signers == {"scan"}
    assert check_that_fails(bundle("key"), asked, now=SIGNED_AT - timedelta(minutes=6)) == 7


def test_a_promise_from_the_future_is_refused() -> None:
    asked = trust_of("key", ["signed-entry-timestamp"])

    assert check_that_fails(bundle("key", stamp=None), asked, now=SIGNED_AT - DAY) == 7


def test_without_an_instance_no_log_is_a_witness_of_a_key() -> None:
    assert check_that_fails(bundle("key"), trust_of("key", ["inclusion-proof"], instances=())) == 5


def test_any_instance_of_the_trust_policy_may_have_logged_what_a_key_signed() -> None:
    asked = trust_of("key", ["inclusion-proof", "signed-entry-timestamp"])
    other = made.Instance(made.Certificates("other"), log=made.TransparencyLog(host="other.example.com"))
    instances = (Instance(name="other", trusted_root=json.dumps(other.trusted_root())), *asked.instances)

    assert verify(bundle("key"), asked.model_copy(update={"instances": instances})).signers == {"scan"}
    assert check_that_fails(bundle("key"), asked.model_copy(update={"instances": instances[:1]})) == 5


def test_a_log_that_has_ended_counts_for_times_that_are_proven_alone() -> None:
    """Its key may be in other hands since; without a time, an old entry and a new one look the same."""
    root = INSTANCE.trusted_root()
    for log in root["tlogs"]:
        log["publicKey"]["validFor"]["end"] = made.moment(SIGNED_AT + DAY)
    ended = trust_of("key", ["inclusion-proof"], instances=(Instance(name="example", trusted_root=json.dumps(root)),))
    without_time = bundle("key", stamp=None)
    del entry(without_time)["inclusionPromise"]
    stamped = bundle("key")
    del entry(stamped)["inclusionPromise"]

    assert check_that_fails(without_time, ended) == 7
    assert verify(stamped, ended).signers == {"scan"}
    assert verify(bundle("key", stamp=None), ended).signers == {"scan"}
    assert verify(without_time, trust_of("key", ["inclusion-proof"])).signers == {"scan"}


def test_a_witness_makes_nobody_a_signer() -> None:
    asked = trust_of("key", ALL)
    stranger = TrustedKey(public_key=made.public_pem(made.private_key("p256", "stranger")), person="scan")
    policy = asked.roles[Role.SCANNER].model_copy(update={"keys": (stranger,)})

    with pytest.raises(VerificationFailed, match="no signature by a key of the role scanner"):
        verify(bundle("key"), asked.model_copy(update={"roles": {**asked.roles, Role.SCANNER: policy}}))


# --- what can't have them ---


@pytest.mark.parametrize("role", sorted(KEYS_ONLY))
def test_roles_whose_formats_have_no_room_refuse_the_setting(role: Role) -> None:
    trust = make_trust()
    keys = (TrustedKey(public_key=made.public_pem(made.private_key("p256", MANAGED)), person="ann"),)
    policy = RolePolicy(keys=keys, predicate_types=("x",), witnesses=("timestamp",))

    with pytest.raises(SettingsError, match="no room for timestamps and log entries") as refusal:
        check_trust_policy(trust.model_copy(update={"roles": {**trust.roles, role: policy}}))
    assert refusal.value.where == f"trust policy, roles.{role}.witnesses"


def test_an_envelope_of_several_persons_refuses_the_setting() -> None:
    trust = trust_of("key", ["timestamp"])
    policy = trust.roles[Role.SCANNER].model_copy(update={"threshold": 2})

    with pytest.raises(SettingsError, match="2 persons sign an envelope, which has no room"):
        check_trust_policy(trust.model_copy(update={"roles": {**trust.roles, Role.SCANNER: policy}}))


@pytest.mark.parametrize("witnesses", [[], ["log"], "timestamp"], ids=["none", "unknown", "no list"])
def test_what_is_no_list_of_known_witnesses_is_refused_when_read(witnesses: object) -> None:
    value = trust_of("key", None).model_dump(mode="json")
    value["roles"]["scanner"]["witnesses"] = ["timestamp"]
    assert read_trust_policy(json.dumps(value).encode(), where="t").roles[Role.SCANNER].witnesses == ("timestamp",)

    value["roles"]["scanner"]["witnesses"] = witnesses
    with pytest.raises(SettingsError):
        read_trust_policy(json.dumps(value).encode(), where="t")
