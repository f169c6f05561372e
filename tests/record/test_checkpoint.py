from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from policyd.errors import DocumentError, SignatureInvalid
from policyd.record.checkpoint import (
    log_fingerprint,
    log_key,
    read_checkpoint,
    sign_checkpoint,
    verify_checkpoint,
)
from policyd.record.note import NoteKey, sign_note

PRIVATE = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
PUBLIC = PRIVATE.public_key()
KEY = log_key(PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())
ROOT = base64.b64encode(b"r" * 32).decode()


def test_the_text_of_the_specification_is_read() -> None:
    """C2SP tlog-checkpoint, the example at the top."""
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"

    checkpoint = read_checkpoint(text)

    assert checkpoint.origin == "example.com/behind-the-sofa"
    assert checkpoint.size == 20852163
    assert checkpoint.to_text() == text


def test_extension_lines_are_allowed() -> None:
    assert read_checkpoint(f"log\n1\n{ROOT}\nmore\n").size == 1


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("log\n1\n", id="two lines"),
        pytest.param(f"log\n1\n{ROOT}", id="no newline"),
        pytest.param(f"\n1\n{ROOT}\n", id="no origin"),
        pytest.param(f"log\n01\n{ROOT}\n", id="a leading zero"),
        pytest.param(f"log\n-1\n{ROOT}\n", id="a negative size"),
        pytest.param(f"log\n+1\n{ROOT}\n", id="a sign"),
        pytest.param(f"log\n\u0661\n{ROOT}\n", id="another script's digit"),
        pytest.param(f"log\n9999999999999999999\n{ROOT}\n", id="beyond 63 bits"),
        pytest.param("log\n1\nAAAA\n", id="a short root"),
        pytest.param(f"log\n1\n{ROOT}=\n", id="not base64"),
        pytest.param(f"log\n1\n{ROOT}\n\nmore\n", id="an empty extension line"),
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(DocumentError):
        read_checkpoint(text)


def test_a_signed_checkpoint_verifies() -> None:
    signed = sign_checkpoint(7, b"r" * 32, KEY, PRIVATE.sign)

    assert verify_checkpoint(signed.note, [KEY]) == signed
    assert signed.checkpoint.origin == f"policyd.dev/log/{log_fingerprint(KEY)}"


def test_a_checkpoint_of_another_log_is_refused_though_our_key_signed_it() -> None:
    note = sign_note(f"another.log\n1\n{ROOT}\n", KEY, PRIVATE.sign)

    with pytest.raises(SignatureInvalid, match="another log"):
        verify_checkpoint(note, [KEY])


def test_the_same_key_under_a_name_of_its_own_does_not_speak_for_the_log() -> None:
    named = NoteKey("mine", KEY.public_key)
    note = sign_note(f"{KEY.name}\n1\n{ROOT}\n", named, PRIVATE.sign)

    with pytest.raises(SignatureInvalid, match="no expected key"):
        verify_checkpoint(note, [KEY])
