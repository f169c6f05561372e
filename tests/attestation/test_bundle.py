from __future__ import annotations

import base64
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sigstore_models.bundle.v1 import Bundle as SigstoreBundle

from policyd.attestation.bundle import (
    BUNDLE_V03,
    MessageSignature,
    read_attestation,
    read_bundle,
    render_bundle,
)
from policyd.attestation.dsse import Envelope, Signature
from policyd.errors import DocumentError, PolicydError
from tests.attestation.made_run import sha256

ENVELOPE = Envelope(b'{"a":1}', "application/vnd.in-toto+json", (Signature(b"signature"),))
MESSAGE = MessageSignature(digest=bytes.fromhex(sha256("file")), signature=b"signature")


@pytest.mark.parametrize("content", [ENVELOPE, MESSAGE], ids=["attestation", "file"])
def test_a_bundle_is_read_as_it_was_written(content: Envelope | MessageSignature) -> None:
    bundle = read_bundle(render_bundle(content, key_sha256=sha256("key")), where="x")

    assert bundle.content == content
    assert bundle.key_hint == base64.b64encode(bytes.fromhex(sha256("key"))).decode()


@pytest.mark.parametrize("content", [ENVELOPE, MESSAGE], ids=["attestation", "file"])
def test_sigstores_own_models_accept_what_is_written(content: Envelope | MessageSignature) -> None:
    """sigstore-models is generated from protobuf-specs and refuses fields it does not know."""
    parsed = SigstoreBundle.from_json(render_bundle(content, key_sha256=sha256("key")))

    assert parsed.media_type == BUNDLE_V03
    assert parsed.verification_material.public_key is not None


def test_no_key_id_is_written() -> None:
    """cosign refuses a bundle with a key id that it does not know."""
    value = json.loads(render_bundle(ENVELOPE, key_sha256=sha256("key")))

    assert list(value["dsseEnvelope"]["signatures"][0]) == ["sig"]


def test_a_bare_envelope_is_read_with_all_its_signatures() -> None:
    content = b'{"payload": "YQ==", "payloadType": "b", "signatures": [{"sig": "Yw=="}, {"sig": "ZA=="}]}'

    assert len(read_attestation(content, where="x").signatures) == 2


def test_the_signature_of_a_file_is_no_attestation() -> None:
    with pytest.raises(DocumentError, match="signature of a file"):
        read_attestation(render_bundle(MESSAGE, key_sha256=sha256("key")), where="x")


def _value(content: Envelope | MessageSignature) -> dict[str, object]:
    value = json.loads(render_bundle(content, key_sha256=sha256("key")))
    assert isinstance(value, dict)
    return value


def _without(field: str) -> dict[str, object]:
    value = _value(ENVELOPE)
    del value[field]
    return value


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        _without("mediaType"),
        _without("verificationMaterial"),
        _without("dsseEnvelope"),
        _value(ENVELOPE) | {"mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.1"},
        _value(ENVELOPE) | {"mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.2"},
        _value(ENVELOPE) | {"mediaType": "application/vnd.dev.sigstore.bundle.v0.4+json"},
        _value(ENVELOPE) | {"mediaType": ["application/vnd.dev.sigstore.bundle.v0.3+json"]},
        _value(ENVELOPE) | {"verificationMaterial": {"publicKey": []}},
        _value(ENVELOPE) | {"verificationMaterial": {"publicKey": {"hint": 1}}},
        _value(ENVELOPE) | {"messageSignature": None},
        _value(ENVELOPE) | {"dsseEnvelope": None},
        _value(MESSAGE) | {"messageSignature": None},
        _value(MESSAGE) | {"messageSignature": {"signature": "AAAA"}},
        _value(MESSAGE)
        | {"messageSignature": {"messageDigest": {"algorithm": "SHA1", "digest": "AAAA"}, "signature": "AAAA"}},
        _value(MESSAGE)
        | {"messageSignature": {"messageDigest": {"algorithm": "SHA2_256", "digest": "AAAA"}, "signature": "AAAA"}},
    ],
)
def test_what_is_no_bundle_of_this_version_is_refused(value: object) -> None:
    with pytest.raises(DocumentError):
        read_bundle(json.dumps(value).encode(), where="x")


@pytest.mark.parametrize(
    ("algorithm", "digest", "signature"),
    [
        ("SHA2_512", bytes(32), b"s"),
        ("SHA2_256", bytes(31), b"s"),
        ("SHA2_256", bytes(64), b"s"),
        ("SHA2_256", bytes(32), b""),
        ("SHA2_256", bytes(32), b"s" * 1025),
    ],
    ids=["algorithm", "short digest", "long digest", "no signature", "long signature"],
)
def test_a_signature_of_a_file_has_a_sha256_and_a_signature(algorithm: str, digest: bytes, signature: bytes) -> None:
    message = {
        "messageDigest": {"algorithm": algorithm, "digest": base64.b64encode(digest).decode()},
        "signature": base64.b64encode(signature).decode(),
    }

    with pytest.raises(DocumentError):
        read_bundle(json.dumps(_value(MESSAGE) | {"messageSignature": message}).encode(), where="x")


@given(st.binary())
def test_any_input_gives_a_bundle_or_an_error_of_ours(content: bytes) -> None:
    with contextlib.suppress(PolicydError):
        read_bundle(content, where="x")


@given(st.integers(min_value=0), st.binary(min_size=1, max_size=3))
def test_a_damaged_bundle_gives_a_bundle_or_an_error_of_ours(position: int, patch: bytes) -> None:
    content = bytearray(render_bundle(ENVELOPE, key_sha256=sha256("key")))
    start = position % len(content)
    content[start : start + len(patch)] = patch
    with contextlib.suppress(PolicydError):
        read_bundle(bytes(content), where="x")
