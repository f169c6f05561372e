"""Trust policies: read strictly, and refused as a whole where anything in them contradicts itself."""

from __future__ import annotations

import json

import pytest

from policyd.attestation.trust_policy import check_trust_policy, read_trust_policy, role_keys
from policyd.errors import (
    SettingsError,
)
from policyd.models.trust import Role
from tests.attestation.made_run import key, make_role, make_trust, trusted
from tests.vectors import make_vectors


def test_one_key_listed_twice_for_one_person_is_refused() -> None:
    twice = (trusted(key("decider"), "a"), trusted(key("decider"), "a"))

    with pytest.raises(SettingsError, match="listed twice"):
        check_trust_policy(make_role(make_trust(), Role.DECIDER, keys=twice))


def test_one_key_in_two_spellings_of_pem_is_one_key() -> None:
    spelled = key("decider").public_key_pem.replace("\n", "\r\n") + "\n"
    entry = trusted(key("decider"), "a").model_copy(update={"public_key": spelled})

    with pytest.raises(SettingsError, match="two roles"):
        check_trust_policy(make_role(make_trust(), Role.APPROVER, keys=(entry,)))


@pytest.mark.parametrize(
    "change",
    [
        {"unknown": 1},
        {"policyd": "trust/v2"},
        {"version": 0},
        {"version": "1"},
        {"version": 2**53},
        {"roles": {"emperor": {}}},
        {"expires_at": "2026-05-01T12:00:00"},
        {"policy_sets": ["ABC"]},
        {"builders": [{"id": "x", "key_sha256": "0" * 64, "max_level": 4}]},
    ],
)
def test_a_trust_policy_that_does_not_fit_is_refused(change: dict[str, object]) -> None:
    content = json.dumps(make_vectors.trust() | change).encode()

    with pytest.raises(SettingsError):
        read_trust_policy(content, where="trust.json")


@pytest.mark.parametrize("change", [{"keys": []}, {"threshold": 0}, {"predicate_types": []}])
def test_an_empty_list_or_threshold_in_a_role_is_refused(change: dict[str, object]) -> None:
    policy = make_vectors.trust()
    roles = policy["roles"]
    assert isinstance(roles, dict)
    roles["approver"] |= change

    with pytest.raises(SettingsError):
        read_trust_policy(json.dumps(policy).encode(), where="trust.json")


def test_role_keys_names_every_key_of_the_policy() -> None:
    assert role_keys(make_trust())[key("builder").key_sha256] is Role.BUILDER
    assert len(role_keys(make_trust())) == len(make_trust().roles)


def test_a_role_allows_no_more_than_the_trust_policy() -> None:
    trust = make_trust(algorithms=("ed25519",))

    with pytest.raises(SettingsError, match="may sign with nothing"):
        check_trust_policy(make_role(trust, Role.DECIDER, algorithms=("ecdsa-p256",)))
    with pytest.raises(SettingsError, match="the key is ecdsa-p256, and approver may sign with ed25519"):
        check_trust_policy(make_role(make_trust(), Role.APPROVER, algorithms=("ed25519",)))
    check_trust_policy(
        make_role(make_trust(algorithms=("ecdsa-p256", "rsa")), Role.APPROVER, algorithms=("ecdsa-p256",))
    )
