from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from nacl.secret import SecretBox

from policyd.adapters.signers.cosign_key import LABELS, decrypt_cosign_key, is_cosign_key
from policyd.adapters.signers.keyfile import load_key
from policyd.errors import KeyUnusable, UnsafePermissions

DER = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
SALT, NONCE = bytes(range(32)), bytes(range(24))


def _document(n: int = 2**10, password: bytes = b"x") -> dict[str, object]:
    """Return a key as cosign writes it (tests/app/test_signing.py has real ones), with a scrypt that is quick."""
    secret = Scrypt(salt=SALT, length=32, n=n, r=8, p=1).derive(password)
    box = SecretBox(secret).encrypt(DER, NONCE).ciphertext
    return {
        "kdf": {"name": "scrypt", "params": {"N": n, "r": 8, "p": 1}, "salt": _b64(SALT)},
        "cipher": {"name": "nacl/secretbox", "nonce": _b64(NONCE)},
        "ciphertext": _b64(box),
    }


def _b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _pem(content: bytes, label: bytes = LABELS[0]) -> bytes:
    return b"-----BEGIN %b-----\n%b\n-----END %b-----\n" % (label, base64.b64encode(content), label)


def _render(document: object) -> bytes:
    return _pem(json.dumps(document).encode())


@pytest.mark.parametrize("label", LABELS)
def test_a_key_of_cosign_opens_with_its_passphrase_alone(label: bytes) -> None:
    content = _pem(json.dumps(_document()).encode(), label)

    assert is_cosign_key(content)
    assert decrypt_cosign_key(content, "x", where="cosign.key") == DER
    with pytest.raises(KeyUnusable, match="passphrase"):
        decrypt_cosign_key(content, "y", where="cosign.key")


def test_a_key_of_cosign_is_read_like_any_other_key_file(tmp_path: Path) -> None:
    path = tmp_path / "cosign.key"
    path.write_bytes(_render(_document(password=b"")))
    path.chmod(0o600)

    assert load_key(path, password=str).sign(b"m")
    path.chmod(0o644)
    with pytest.raises(UnsafePermissions):
        load_key(path, password=str)


def _with(change: Callable[[Any], object]) -> object:
    document = json.loads(json.dumps(_document()))
    change(document)
    return document


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        _with(lambda d: d["kdf"].update(name="argon2")),
        _with(lambda d: d["kdf"]["params"].update(N=2**30)),
        _with(lambda d: d["kdf"]["params"].update(N=2**10 + 1)),
        _with(lambda d: d["kdf"]["params"].update(N=-(2**10))),
        _with(lambda d: d["kdf"]["params"].update(N=1024.0)),
        _with(lambda d: d["kdf"]["params"].update(N=True)),
        _with(lambda d: d["kdf"]["params"].update(r=2**20)),
        _with(lambda d: d["kdf"]["params"].update(p=2**20)),
        _with(lambda d: d["kdf"].update(params=None)),
        _with(lambda d: d["kdf"].update(salt="")),
        _with(lambda d: d["kdf"].update(salt="!")),
        _with(lambda d: d["cipher"].update(name="aes")),
        _with(lambda d: d["cipher"].update(nonce="AAAA")),
        _with(lambda d: d.update(ciphertext="AAAA")),
        _with(lambda d: d.update(ciphertext=None)),
    ],
)
def test_what_is_no_key_of_cosign_or_asks_for_too_much_is_refused(document: object) -> None:
    with pytest.raises(KeyUnusable):
        decrypt_cosign_key(_render(document), "x", where="cosign.key")


@given(st.binary(max_size=300))
def test_any_bytes_under_the_label_are_refused(content: bytes) -> None:
    for pem in (_pem(content), b"-----BEGIN " + LABELS[0] + b"-----" + content):
        with pytest.raises(KeyUnusable):
            decrypt_cosign_key(pem, "x", where="cosign.key")
