"""Signed notes. The vector is the example of golang.org/x/mod/sumdb/note, which C2SP signed-note describes."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from policyd.errors import DocumentError, KeyUnusable, SignatureInvalid
from policyd.record.note import NoteKey, read_note, read_public_key, sign_note, verify_note

TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
NOTE = f"{TEXT}\n\u2014 PeterNeumann {SIGNATURE}\n"
# PRIVATE+KEY+PeterNeumann+c74f20a3+…: one byte for the algorithm, then the seed.
PRIVATE = Ed25519PrivateKey.from_private_bytes(base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:])
KEY = NoteKey("PeterNeumann", base64.b64decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")[1:])
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
OTHER_KEY = NoteKey("other", OTHER.public_key().public_bytes_raw())


def test_the_key_id_is_the_known_one() -> None:
    assert KEY.id.hex() == "c74f20a3"


def test_signing_gives_the_known_note() -> None:
    assert sign_note(TEXT, KEY, PRIVATE.sign) == NOTE


def test_the_known_note_verifies() -> None:
    verified = verify_note(NOTE, [OTHER_KEY, KEY])

    assert verified.text == TEXT
    assert verified.keys == (KEY,)


def test_a_text_may_hold_empty_lines() -> None:
    text = "one\n\n\u2014 two three\n\nfour\n"

    assert verify_note(sign_note(text, KEY, PRIVATE.sign), [KEY]).text == text


def test_signatures_of_unknown_keys_are_ignored() -> None:
    line = sign_note(TEXT, OTHER_KEY, OTHER.sign).rpartition("\n\n")[2]

    assert verify_note(NOTE + line, [KEY]).keys == (KEY,)


def test_a_wrong_signature_of_a_known_key_spoils_a_note_that_another_signed() -> None:
    line = sign_note("other text\n", OTHER_KEY, OTHER.sign).rpartition("\n\n")[2]

    with pytest.raises(SignatureInvalid, match="is wrong"):
        verify_note(NOTE + line, [KEY, OTHER_KEY])


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param([], id="no key is expected"),
        pytest.param([OTHER_KEY], id="another key is expected"),
        pytest.param([NoteKey("other", KEY.public_key)], id="the key under another name"),
        pytest.param([NoteKey("PeterNeumann", OTHER_KEY.public_key)], id="the name with another key"),
    ],
)
def test_a_note_that_no_expected_key_signed_is_refused(keys: list[NoteKey]) -> None:
    with pytest.raises(SignatureInvalid, match="no expected key"):
        verify_note(NOTE, keys)


def test_a_changed_text_is_refused() -> None:
    with pytest.raises(SignatureInvalid, match="is wrong"):
        verify_note(NOTE.replace("answer", "Answer"), [KEY])


def test_a_signature_that_only_claims_a_key_is_refused() -> None:
    forged = f"{TEXT}\n\u2014 PeterNeumann {base64.b64encode(KEY.id + bytes(64)).decode()}\n"

    with pytest.raises(SignatureInvalid, match="is wrong"):
        verify_note(forged, [KEY])


@pytest.mark.parametrize(
    "note",
    [
        pytest.param("", id="nothing"),
        pytest.param(TEXT, id="no signatures"),
        pytest.param(NOTE[:-1], id="no newline at the end"),
        pytest.param(NOTE + "\n", id="an empty line at the end"),
        pytest.param(NOTE.replace("\n\n", "\n"), id="no blank line"),
        pytest.param(NOTE.replace("\u2014", "-"), id="another dash"),
        pytest.param(NOTE.replace("\u2014 PeterNeumann", "\u2014 Peter\u00a0Neumann"), id="a space in a name"),
        pytest.param(NOTE.replace("\u2014 PeterNeumann", "\u2014 Peter+Neumann"), id="a plus in a name"),
        pytest.param(NOTE.replace("nAM=", "nAN="), id="base64 with loose bits"),
        pytest.param(NOTE.replace("nAM=", "nAM"), id="base64 without padding"),
        pytest.param(NOTE.replace("nAM=", "n\u00c4M="), id="not base64"),
        pytest.param(f"{TEXT}\n\u2014 PeterNeumann {base64.b64encode(KEY.id).decode()}\n", id="an empty signature"),
        pytest.param(NOTE.replace("answer", "an\x1bswer"), id="an escape in the text"),
        pytest.param(NOTE.replace("\n", "\r\n"), id="carriage returns"),
        pytest.param(TEXT * 1000 + NOTE, id="too long"),
        pytest.param(NOTE + NOTE.rpartition("\n\n")[2] * 16, id="too many signatures"),
    ],
)
def test_what_is_no_note_is_refused(note: str) -> None:
    with pytest.raises(DocumentError):
        verify_note(note, [KEY])


def test_sixteen_signatures_are_accepted() -> None:
    assert len(read_note(NOTE + NOTE.rpartition("\n\n")[2] * 15).signatures) == 16


@pytest.mark.parametrize("text", ["no newline", "tab\there\n", ""])
def test_what_a_note_can_not_hold_is_not_signed(text: str) -> None:
    with pytest.raises(ValueError, match="text of a note"):
        sign_note(text, KEY, PRIVATE.sign)


def test_only_ed25519_keys_sign_notes() -> None:
    pem = (
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )

    with pytest.raises(KeyUnusable, match="not an Ed25519 key"):
        read_public_key(pem.decode())
    with pytest.raises(KeyUnusable, match="not a public key"):
        read_public_key("nothing")
