from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from policyd.app.trust_edit import add_key, end_key, next_version, remove_keys, render_trust, set_threshold
from policyd.attestation.keys import KeyKind, read_public_key
from policyd.attestation.trust_policy import read_trust_policy
from policyd.errors import SettingsError, UsageError
from policyd.models.trust import TRUST_POLICY_TYPE, Role, TrustedIdentity, TrustedKey, TrustPolicy
from policyd.pipeline.yaml_reader import read_yaml
from tests.attestation.made_keys import signer
from tests.attestation.made_run import key, make_role, make_trust, trusted

NOW = datetime(2026, 5, 1, tzinfo=UTC)
NEW = TrustedKey(public_key=signer(KeyKind.P384).public_key_pem, person="ann@example.com")


def _read(text: str) -> TrustPolicy:
    return read_trust_policy(json.dumps(read_yaml(text.encode(), where="trust.yaml")).encode(), where="trust.yaml")


def test_what_is_rendered_is_read_as_it_was() -> None:
    trust = add_key(make_trust(), Role.BUILDER, NEW, like=key("builder").key_sha256)
    trust = end_key(trust, key("builder").key_sha256, valid_until=NOW, revoked_at=NOW + timedelta(days=1))

    assert _read(render_trust(trust, comments=["Not in force yet."])) == trust
    assert _read(render_trust(make_trust())) == make_trust()


@pytest.mark.parametrize("person", ["null", "007", "yes", "a: b", "# x", "1.5", "- a", '"', "é\u202e", "{}", " x "])
def test_a_persons_name_stays_a_name(person: str) -> None:
    trust = add_key(make_trust(), Role.BUILDER, NEW.model_copy(update={"person": person}))

    assert _read(render_trust(trust)).roles[Role.BUILDER].keys[1].person == person


def test_a_new_key_stands_beside_the_old_one_and_speaks_for_its_ids() -> None:
    sha256 = read_public_key(NEW.public_key, where="x").sha256

    trust = add_key(make_trust(), Role.BUILDER, NEW, like=key("builder").key_sha256)

    assert [entry.person for entry in trust.roles[Role.BUILDER].keys] == ["builder@example.com", "ann@example.com"]
    assert [(entry.key_sha256, entry.max_level) for entry in trust.builders] == [
        (key("builder").key_sha256, 2),
        (sha256, 2),
    ]
    assert trust.verifiers == make_trust().verifiers
    assert add_key(make_trust(), Role.BUILDER, NEW).builders == make_trust().builders


def test_a_key_has_one_role_and_is_listed_once() -> None:
    for listed in (key("builder"), key("decider")):
        with pytest.raises(SettingsError):
            add_key(make_trust(), Role.BUILDER, trusted(listed, "eve@example.com"))


def test_a_role_that_nobody_had_begins_with_what_it_signs_by_default() -> None:
    trust = add_key(make_trust(), Role.TRUST_AUTHOR, NEW)

    assert trust.roles[Role.TRUST_AUTHOR].predicate_types == (TRUST_POLICY_TYPE,)
    assert _read(render_trust(trust)) == trust


def test_a_removed_key_is_gone_with_the_ids_that_it_spoke_for() -> None:
    trust = add_key(make_trust(), Role.BUILDER, NEW)
    builder = key("builder").key_sha256

    left = remove_keys(trust, key_sha256s=[builder])

    assert [one.person for one in left.roles[Role.BUILDER].keys] == ["ann@example.com"]
    assert left.builders == ()
    assert remove_keys(trust, persons=["builder@example.com"]) == left


def test_a_persons_identities_go_with_the_keys() -> None:
    identity = TrustedIdentity(person="ann", issuer="https://i.example", identity="a", instance="x")
    trust = make_role(make_trust(), Role.BUILDER, identities=(identity,))

    assert remove_keys(trust, persons=["ann"]) == make_trust()


@pytest.mark.parametrize(
    ("keys", "persons", "cause"),
    [
        ([], ["nobody"], "does not list the person nobody"),
        (["0" * 64], [], "does not list the key sha256:0000"),
        ([], ["builder@example.com"], "nobody would be left in the role builder"),
    ],
    ids=["nobody", "no key", "the last"],
)
def test_what_is_not_listed_or_the_last_of_a_role_is_not_removed(
    keys: list[str], persons: list[str], cause: str
) -> None:
    with pytest.raises(UsageError, match=cause):
        remove_keys(make_trust(), key_sha256s=keys, persons=persons)


def test_a_threshold_is_set_for_a_role_that_is_there() -> None:
    assert set_threshold(make_trust(), Role.APPROVER, 2).roles[Role.APPROVER].threshold == 2
    with pytest.raises(UsageError, match="nothing of the role scanner"):
        set_threshold(make_trust(), Role.SCANNER, 2)


def test_new_fields_are_rendered_as_they_are_read() -> None:
    trust = make_trust(algorithms=("ecdsa-p256", "ecdsa-p384"), min_bundle_version="v0.1")
    trust = make_role(trust, Role.APPROVER, witnesses=("timestamp", "inclusion-proof"))

    assert _read(render_trust(trust)) == trust
    assert "identities" not in render_trust(trust)


def test_an_end_that_was_set_earlier_stays() -> None:
    sha256 = key("builder").key_sha256
    ended = end_key(make_trust(), sha256, valid_until=NOW)

    for later in (NOW + timedelta(days=1), None):
        entry = end_key(ended, sha256, valid_until=later).roles[Role.BUILDER].keys[0]
        assert entry.valid_until == NOW
    earlier = end_key(ended, sha256, valid_until=NOW - timedelta(days=1)).roles[Role.BUILDER].keys[0]
    assert earlier.valid_until == NOW - timedelta(days=1)


def test_only_a_listed_key_can_be_ended() -> None:
    with pytest.raises(UsageError):
        end_key(make_trust(), key("stranger").key_sha256, revoked_at=NOW)


def test_a_change_is_a_version() -> None:
    assert next_version(make_trust()).version == make_trust().version + 1
