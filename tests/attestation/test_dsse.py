from __future__ import annotations

import base64
import contextlib
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from policyd.attestation.dsse import (
    MAX_SIGNATURES,
    PAE_START,
    Envelope,
    Signature,
    envelope_to_json,
    pae,
    read_base64,
    read_envelope,
)
from policyd.attestation.keys import is_signed_by, read_public_key
from policyd.errors import DocumentError, InputTooLarge, PolicydError

#: DSSE v1.0.2, protocol.md, "Test Vectors".
TYPE, BODY = "http://example.com/HelloWorld", b"hello world"
X = 46950820868899156662930047687818585632848591499744589407958293238635476079160
Y = 5640078356564379163099075877009565129882514886557779369047442380624545832820
EXAMPLE = (
    b'{"payload": "aGVsbG8gd29ybGQ=",\n "payloadType": "http://example.com/HelloWorld",\n'
    b' "signatures": [{"sig": '
    b'"A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="}]}'
)


def test_the_specifications_example_is_encoded_as_it_says() -> None:
    assert pae(TYPE, BODY) == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae(TYPE, BODY).startswith(PAE_START)


def test_lengths_count_bytes() -> None:
    assert pae("ü", "ä€".encode()) == "DSSEv1 2 ü 5 ä€".encode()
    assert pae("", b"") == b"DSSEv1 0  0 "


def test_the_specifications_example_is_read_and_its_signature_verifies() -> None:
    """The example's signature is r and s one after the other; ours, as cosign's, is their DER."""
    numbers = ec.EllipticCurvePublicNumbers(X, Y, ec.SECP256R1())
    pem = numbers.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    envelope = read_envelope(EXAMPLE, where="protocol.md")

    raw = envelope.signatures[0].value
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    assert (envelope.payload, envelope.payload_type) == (BODY, TYPE)
    assert is_signed_by(read_public_key(pem, where="protocol.md"), der, envelope.signed_bytes())


@given(st.text(), st.binary(), st.text(), st.binary())
def test_two_different_messages_never_have_the_same_encoding(
    type_a: str, body_a: bytes, type_b: str, body_b: bytes
) -> None:
    assert (pae(type_a, body_a) == pae(type_b, body_b)) == ((type_a, body_a) == (type_b, body_b))


@given(st.binary())
def test_base64_of_either_alphabet_is_read(content: bytes) -> None:
    assert read_base64(base64.b64encode(content).decode(), where="x") == content
    assert read_base64(base64.urlsafe_b64encode(content).decode(), where="x") == content


@given(st.text(alphabet="AQgw+/-_=\n \x00é", max_size=12))
def test_base64_is_one_text_for_one_value_or_refused(text: str) -> None:
    try:
        value = read_base64(text, where="x")
    except DocumentError:
        return
    assert text in (base64.b64encode(value).decode(), base64.urlsafe_b64encode(value).decode())


@pytest.mark.parametrize(
    "text",
    [
        "A",
        "AA",
        "AAA",
        "AA==A",
        "AA=",
        "AA===",
        "AB==",
        "AAB=",
        "A A=",
        " AAA=",
        "AAAA\n",
        "+-AA",
        "_/AA",
        "Ä===",
        "=",
        7,
        None,
        ["AAAA"],
        b"AAAA",
        True,
    ],
)
def test_what_is_not_canonical_base64_is_refused(text: object) -> None:
    with pytest.raises(DocumentError):
        read_base64(text, where="x")


def _changed(**changes: object) -> bytes:
    return json.dumps(json.loads(EXAMPLE) | changes).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b"\xff",
        EXAMPLE + EXAMPLE,
        EXAMPLE[:-1],
        _changed(payload=None),
        _changed(payload=1),
        _changed(payload="*"),
        _changed(payloadType=""),
        _changed(payloadType="x" * 257),
        _changed(payloadType=7),
        _changed(signatures=None),
        _changed(signatures=[]),
        _changed(signatures={}),
        _changed(signatures=["AAAA"]),
        _changed(signatures=[{}]),
        _changed(signatures=[{"sig": ""}]),
        _changed(signatures=[{"sig": "AAAA" * 400}]),
        _changed(signatures=[{"sig": "AAAA", "keyid": 7}]),
        _changed(signatures=[{"sig": "AAAA", "keyid": "k" * 257}]),
        _changed(signatures=[{"sig": "AAAA"}] * (MAX_SIGNATURES + 1)),
        EXAMPLE.replace(b'"payload":', b'"payload": "", "payload":'),
    ],
)
def test_what_is_no_envelope_is_refused(content: bytes) -> None:
    with pytest.raises(DocumentError):
        read_envelope(content, where="x")


def test_a_deep_envelope_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(InputTooLarge):
        read_envelope(_changed(more=1).replace(b"1", b"[" * 100_000 + b"]" * 100_000), where="x")


def test_an_envelope_is_written_as_it_is_read() -> None:
    envelope = Envelope(b"a", "b", (Signature(b"c"), Signature(b"d", "id")))

    value = envelope_to_json(envelope)

    assert read_envelope(json.dumps(value).encode(), where="x") == envelope
    assert value["signatures"] == [{"sig": "Yw=="}, {"sig": "ZA==", "keyid": "id"}]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.binary() | st.fixed_dictionaries({"payload": _JSON, "payloadType": _JSON, "signatures": _JSON}))
def test_any_input_gives_an_envelope_or_an_error_of_ours(content: object) -> None:
    encoded = content if isinstance(content, bytes) else json.dumps(content).encode()
    with contextlib.suppress(PolicydError):
        assert read_envelope(encoded, where="x").signatures
