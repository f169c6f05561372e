from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from policyd.app.trust_edit import add_key, end_key, next_version, render_trust
from policyd.attestation.keys import KeyKind, read_public_key
from policyd.attestation.trust import read_trust_policy
from policyd.errors import SettingsError, UsageError
from policyd.models.trust import Role, TrustedKey, TrustPolicy
from policyd.pipeline.yaml_reader import read_yaml
from tests.attestation.made_keys import signer
from tests.attestation.made_run import key, make_trust, trusted

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
    with pytest.raises(UsageError, match="nothing of the role"):
        add_key(make_trust(), Role.SCANNER, NEW)


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
