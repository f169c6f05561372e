from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyd.attestation.keyless.trusted_root import TrustedRoot, Window, read_trusted_root
from policyd.errors import DocumentError, PolicydError
from tests.attestation.keyless.instance import Instance, Value, b64, private_key, public_der

ROOT = Instance().trusted_root()
GOOD = json.dumps(ROOT).encode()


def _read(value: object) -> TrustedRoot:
    return read_trusted_root(json.dumps(value).encode(), where="trusted_root.json")


def _changed(change: Callable[[Value], object]) -> Value:
    value = copy.deepcopy(ROOT)
    change(value)
    return value


def test_everybody_who_is_listed_is_read() -> None:
    root = _read(ROOT)

    assert [log.url for log in root.logs] == ["https://rekor.example.com", "https://log2026.example.com"]
    assert [len(one.certificates) for one in root.authorities] == [2]
    assert [one.name for one in root.timestamp_authorities] == ["https://tsa.example.com"]
    assert not root.unusable


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.dev.sigstore.trustedroot.v0.1+json",
        "application/vnd.dev.sigstore.trustedroot.v0.2+json",
        "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    ],
)
def test_every_spelling_of_its_version(media_type: str) -> None:
    assert _read(ROOT | {"mediaType": media_type}).logs


def test_a_client_trust_config_holds_one() -> None:
    config = {
        "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        "trustedRoot": ROOT,
        "signingConfig": {},
    }

    assert _read(config).logs == _read(ROOT).logs


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"},
        ROOT | {"mediaType": "application/vnd.dev.sigstore.trustedroot.v0.3+json"},
        ROOT | {"mediaType": None},
        ROOT | {"mediaType": []},
        ROOT | {"tlogs": {}},
        ROOT | {"tlogs": [None]},
        ROOT | {"tlogs": [ROOT["tlogs"][0]] * 257},
        ROOT | {"tlogs": [ROOT["tlogs"][0]] * 2},
        _changed(lambda root: root["tlogs"][0].pop("logId")),
        _changed(lambda root: root["tlogs"][0]["logId"].update(keyId="")),
        _changed(lambda root: root["tlogs"][0].pop("publicKey")),
        _changed(lambda root: root["tlogs"][0]["publicKey"].pop("rawBytes")),
        _changed(lambda root: root["tlogs"][0]["publicKey"].update(rawBytes="AAA")),
        _changed(lambda root: root["tlogs"][0]["publicKey"].update(keyDetails="PKIX_ED25519")),
        _changed(lambda root: root["tlogs"][0]["publicKey"].update(validFor=[])),
        _changed(lambda root: root["tlogs"][0]["publicKey"]["validFor"].update(start="yesterday")),
        _changed(lambda root: root["tlogs"][0]["publicKey"]["validFor"].update(start="2026-01-01T00:00:00")),
        _changed(lambda root: root["tlogs"][0]["publicKey"]["validFor"].update(start=1)),
        _changed(lambda root: root["tlogs"][0].update(baseUrl=1)),
        _changed(lambda root: root["tlogs"][0].update(baseUrl="https://[")),
        _changed(lambda root: root["certificateAuthorities"][0].pop("certChain")),
        _changed(lambda root: root["certificateAuthorities"][0]["certChain"].update(certificates=[])),
        _changed(lambda root: root["certificateAuthorities"][0]["certChain"]["certificates"].reverse()),
        _changed(
            lambda root: root["certificateAuthorities"][0]["certChain"]["certificates"][0].update(rawBytes="AAAA")
        ),
        _changed(lambda root: root["timestampAuthorities"][0]["certChain"]["certificates"].pop()),
        _changed(lambda root: root["timestampAuthorities"][0]["certChain"]["certificates"].reverse()),
    ],
)
def test_what_is_malformed_is_an_error_and_never_half_read(value: object) -> None:
    with pytest.raises(DocumentError):
        _read(value)


def test_a_key_of_a_kind_that_is_not_used_is_named_and_left_out() -> None:
    rsa = {
        "rawBytes": b64(public_der(private_key("rsa2048", "old log"))),
        "validFor": {"start": "2020-01-01T00:00:00Z"},
    }
    for details in ("PKCS1_RSA_PKCS1V5", "PKIX_RSA_PKCS1V15_3072_SHA256", "ML_DSA_65", None):
        value = copy.deepcopy(ROOT)
        value["ctlogs"][0]["publicKey"] = rsa | {"keyDetails": details}
        root = _read(value)

        assert not root.certificate_logs
        assert len(root.unusable) == 1


def test_a_window_has_both_its_ends_and_without_a_beginning_nothing() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    end, moment = start + timedelta(days=1), timedelta(microseconds=1)

    assert Window(start, end).holds(start)
    assert Window(start, end).holds(end)
    assert not Window(start, end).holds(start - moment)
    assert not Window(start, end).holds(end + moment)
    assert Window(start, None).holds(end)
    assert not Window(None, end).holds(start)
    assert not Window(None, None).holds(start)


def test_duplicate_keys_are_refused() -> None:
    with pytest.raises(DocumentError):
        read_trusted_root(GOOD.replace(b'"tlogs":', b'"tlogs": [], "tlogs":', 1), where="x")


@given(st.binary())
def test_any_input_gives_a_trusted_root_or_an_error_of_ours(content: bytes) -> None:
    with contextlib.suppress(PolicydError):
        read_trusted_root(content, where="x")


@given(st.integers(min_value=0), st.binary(min_size=1, max_size=3))
def test_a_damaged_one_gives_a_trusted_root_or_an_error_of_ours(position: int, patch: bytes) -> None:
    content = bytearray(GOOD)
    start = position % len(content)
    content[start : start + len(patch)] = patch
    with contextlib.suppress(PolicydError):
        read_trusted_root(bytes(content), where="x")
