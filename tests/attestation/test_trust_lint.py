"""What is wrong with a trust policy that can be read."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from policyd.attestation.trust_changes import describe_changes
from policyd.attestation.trust_lint import SOON, Remark, Weight, lint_trust_policy
from policyd.models.statement import CYCLONEDX, DECISION_V1
from policyd.models.trust import (
    Instance,
    Role,
    RolePolicy,
    TrustedBuilder,
    TrustedIdentity,
    TrustedKey,
    TrustedVerifier,
    TrustPolicy,
    Witness,
)
from tests.attestation.keyless.instance import Certificates
from tests.attestation.keyless.instance import Instance as Signing
from tests.attestation.made_run import NOW, ed25519_key, key, make_role, sha256, trusted
from tests.attestation.made_trust import make_version

DAY = timedelta(days=1)
IDENTITY = TrustedIdentity(person="ci", issuer="https://i.example", identity="https://ci.example/a", instance="private")


def sound(**changes: object) -> TrustPolicy:
    """Return a trust policy with nothing wrong, or that with fields changed."""
    trust = make_version(1, expires_at=NOW + 365 * DAY)
    log = RolePolicy(keys=(trusted(ed25519_key("log"), "log"),), predicate_types=("https://c2sp.org/tlog-checkpoint",))
    approver = trust.roles[Role.APPROVER].model_copy(update={"predicate_types": (CYCLONEDX,)})
    return trust.model_copy(update={"roles": {**trust.roles, Role.LOG: log, Role.APPROVER: approver}, **changes})


def only(trust: TrustPolicy) -> Remark:
    [remark] = lint_trust_policy(trust, now=NOW)
    assert remark.fix
    return remark


def test_nothing_is_wrong_with_a_sound_one() -> None:
    assert lint_trust_policy(sound(), now=NOW) == ()


@pytest.mark.parametrize(
    ("ends", "weight", "cause"),
    [
        (None, Weight.WARNING, "never expires"),
        (NOW, Weight.ERROR, "expired at"),
        (NOW + SOON, Weight.WARNING, "it expires at"),
    ],
    ids=["never", "now", "soon"],
)
def test_its_end_is_looked_at(ends: object, weight: Weight, cause: str) -> None:
    remark = only(sound(expires_at=ends))

    assert (remark.weight, remark.where) == (weight, "expires_at")
    assert cause in remark.cause


def change_key(role: Role, **changes: object) -> TrustPolicy:
    trust = sound()
    [listed] = trust.roles[role].keys
    return make_role(trust, role, keys=(listed.model_copy(update=changes),))


def without(role: Role) -> TrustPolicy:
    trust = sound()
    return trust.model_copy(update={"roles": {one: policy for one, policy in trust.roles.items() if one is not role}})


@pytest.mark.parametrize(
    ("trust", "where", "cause"),
    [
        (change_key(Role.APPROVER, revoked_at=NOW), "roles.approver", "none of its keys"),
        (
            make_role(sound(), Role.APPROVER, threshold=2),
            "roles.approver.threshold",
            "2 persons have to sign, and 1 can",
        ),
        (without(Role.LOG), "roles.log", "nobody has this role"),
        (
            make_role(sound(), Role.LOG, keys=(trusted(key("log"), "log"),)),
            "roles.log",
            "is no Ed25519 key",
        ),
        (
            sound(builders=(TrustedBuilder(id="https://b.example", key_sha256=sha256("x"), max_level=3),)),
            "builders",
            "no builder has the key",
        ),
        (sound(verifiers=()), "verifiers", "it is empty"),
        (
            sound(verifiers=(TrustedVerifier(id="https://v.example", key_sha256=key("builder").key_sha256),)),
            "verifiers",
            "no verifier has the key",
        ),
        (sound(policy_sets=()), "policy_sets", "no decision counts"),
        (
            make_role(sound(), Role.TRUST_AUTHOR, predicate_types=(DECISION_V1,)),
            "roles.trust-author.predicate_types",
            "it lacks",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_can_never_count_is_an_error(trust: TrustPolicy, where: str, cause: str) -> None:
    remark = only(trust)

    assert (remark.weight, remark.where) == (Weight.ERROR, where)
    assert cause in remark.cause


@pytest.mark.parametrize(
    ("trust", "where", "cause"),
    [
        (change_key(Role.APPROVER, valid_until=NOW + DAY), "roles.approver", "ends at"),
        (change_key(Role.APPROVER, person="builder@example.com"), "roles.approver", "is builder too"),
        (change_key(Role.WAIVER_APPROVER, person="requester@example.com"), "roles.waiver-approver", "is requester too"),
        (change_key(Role.APPROVER, person="Decider@example.com"), "roles", "count as two persons"),
        (
            make_role(sound(), Role.DECIDER, predicate_types=(DECISION_V1 + "0",)),
            "roles.decider.predicate_types",
            "does not know",
        ),
        (sound(instances=(Instance(name="private", trusted_root="{}"),)), "instances", "no identity is of"),
        (without(Role.TRUST_AUTHOR), "roles.trust-author", "nobody can sign the next version"),
        (
            make_role(
                sound(), Role.APPROVER, identities=(IDENTITY.model_copy(update={"identity": None, "pattern": "ci@.*"}),)
            ),
            "roles.approver",
            "whoever has an identity like ci@.*",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_likely_not_meant_is_a_warning(trust: TrustPolicy, where: str, cause: str) -> None:
    remark = only(trust)

    assert (remark.weight, remark.where) == (Weight.WARNING, where)
    assert cause in remark.cause


def test_identities_do_not_add_up_to_a_threshold() -> None:
    trust = make_role(sound(), Role.APPROVER, identities=(IDENTITY,), threshold=2)

    assert "a keyless bundle has one signature" in only(trust).cause


def test_two_keys_of_one_person_do_not_reach_a_threshold_of_two() -> None:
    trust = sound()
    [listed] = trust.roles[Role.APPROVER].keys
    second = TrustedKey(public_key=key("second").public_key_pem, person=listed.person)

    assert "and 1 can" in only(make_role(trust, Role.APPROVER, keys=(listed, second), threshold=2)).cause


@pytest.mark.parametrize(
    ("witness", "missing"),
    [
        ("timestamp", "lists no timestamp authority"),
        ("inclusion-proof", "lists no log"),
        ("signed-entry-timestamp", "lists no log"),
    ],
)
def test_witnesses_that_nobody_could_be_are_an_error(witness: Witness, missing: str) -> None:
    remark = only(make_role(sound(), Role.APPROVER, witnesses=(witness,)))

    assert (remark.weight, remark.where) == (Weight.ERROR, "roles.approver.witnesses")
    assert (
        f"nothing that key sha256:{key('approver').key_sha256} of approver@example.com signs can count" in remark.cause
    )
    assert remark.cause.endswith(f": the trust policy {missing}")


@pytest.mark.parametrize("witness", ["timestamp", "inclusion-proof"])
def test_witnesses_that_some_signers_could_not_have_are_a_warning(witness: Witness) -> None:
    root = Signing(Certificates("lint")).trusted_root()
    stamps, logs = root["timestampAuthorities"], root["tlogs"]
    trust = make_role(sound(), Role.APPROVER, keys=(), identities=(IDENTITY,), witnesses=(witness,))

    def under(**parts: object) -> TrustPolicy:
        pinned = Instance(name="private", trusted_root=json.dumps({**root, **parts}))
        return trust.model_copy(update={"instances": (pinned,)})

    assert lint_trust_policy(under(), now=NOW) == ()
    remark = only(under(**{"timestampAuthorities" if witness == "timestamp" else "tlogs": []}))
    assert remark.weight is Weight.ERROR
    assert "the instance private lists no" in remark.cause
    assert (
        lint_trust_policy(under(**{"tlogs" if witness == "timestamp" else "timestampAuthorities": []}), now=NOW) == ()
    )

    both = make_role(
        under(timestampAuthorities=stamps, tlogs=logs), Role.APPROVER, keys=sound().roles[Role.APPROVER].keys
    )
    if witness == "timestamp":
        assert only(both).weight is Weight.WARNING
    else:
        assert lint_trust_policy(both, now=NOW) == ()


def test_runs_log_nothing_that_they_sign() -> None:
    root = json.dumps(Signing(Certificates("lint")).trusted_root())
    trust = make_role(sound(instances=(Instance(name="private", trusted_root=root),)), Role.BUILDER)

    remark = only(make_role(trust, Role.BUILDER, witnesses=("inclusion-proof",)))

    assert (remark.weight, remark.where) == (Weight.WARNING, "roles.builder.witnesses")
    assert "runs of policyd log nothing" in remark.cause


def test_errors_come_first() -> None:
    remarks = lint_trust_policy(sound(expires_at=None, policy_sets=()), now=NOW)

    assert [remark.weight for remark in remarks] == [Weight.ERROR, Weight.WARNING]


# --- what a version changes ---


def test_a_second_entry_for_a_builder_does_not_hide_behind_the_first() -> None:
    [entry] = sound().builders
    higher = entry.model_copy(update={"max_level": 3})

    assert len(describe_changes(sound(), sound(builders=(higher, entry)))) == 1


def test_witnesses_that_are_asked_for_no_more_are_said() -> None:
    asked, less = (make_role(sound(), Role.APPROVER, witnesses=one) for one in (("timestamp", "inclusion-proof"), None))

    assert describe_changes(asked, less) == (
        "approver: - must have inclusion-proof",
        "approver: - must have timestamp",
    )
    assert describe_changes(less, asked)[1] == "approver: + must have timestamp"


def test_equal_versions_differ_in_nothing() -> None:
    assert describe_changes(sound(), sound()) == ()


@pytest.mark.parametrize("field", sorted(set(TrustPolicy.model_fields) - {"policyd", "version"}))
def test_no_field_changes_in_silence(field: str) -> None:
    """Whoever signs sees it: a field added to the model without words for it fails here."""
    other = {
        "name": "other",
        "expires_at": NOW,
        "roles": {},
        "builders": (),
        "verifiers": (),
        "policy_sets": (sha256("another"),),
        "timestamp_authorities": (_authority(),),
        "instances": (Instance(name="private", trusted_root="{}"),),
        "algorithms": ("ed25519",),
        "min_bundle_version": "v0.1",
    }

    assert describe_changes(sound(), sound(**{field: other[field]}))


@pytest.mark.parametrize("field", sorted(RolePolicy.model_fields))
def test_no_field_of_a_role_changes_in_silence(field: str) -> None:
    other = {
        "keys": (trusted(key("new"), "new"),),
        "identities": (IDENTITY,),
        "threshold": 2,
        "predicate_types": (DECISION_V1, CYCLONEDX),
        "algorithms": ("ecdsa-p256",),
        "witnesses": ("timestamp",),
    }

    assert describe_changes(sound(), make_role(sound(), Role.DECIDER, **{field: other[field]}))


@pytest.mark.parametrize("field", sorted(set(TrustedKey.model_fields) - {"public_key"}))
def test_no_field_of_a_key_changes_in_silence(field: str) -> None:
    assert describe_changes(sound(), change_key(Role.DECIDER, **{field: "x" if field == "person" else NOW}))


@pytest.mark.parametrize("field", sorted(TrustedIdentity.model_fields))
def test_no_field_of_an_identity_changes_in_silence(field: str) -> None:
    other: object = NOW if field.startswith(("valid", "revoked")) else "x"
    changed = IDENTITY.model_copy(update={field: other, **({"identity": None} if field == "pattern" else {})})
    old, new = (make_role(sound(), Role.DECIDER, identities=(one,)) for one in (IDENTITY, changed))

    assert describe_changes(old, new)


def _authority() -> object:
    from policyd.models.trust import TimestampAuthority

    return TimestampAuthority(name="tsa", certificate_chain="x")
