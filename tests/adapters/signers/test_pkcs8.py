from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from policyd.adapters.signers import pkcs8
from policyd.adapters.signers.keyfile import load_key
from policyd.adapters.signers.pkcs8 import encrypt_pkcs8, require_bounded
from policyd.errors import KeyUnusable

KEY = ec.generate_private_key(ec.SECP256R1())
DER = KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def _asking_for(n: int, r: int, p: int) -> bytes:
    """Return a key file that asks for so much of scrypt; nothing is derived to make it."""
    arguments = pkcs8._der(0x04, bytes(16)) + b"".join(map(pkcs8._integer, (n, r, p)))
    function = pkcs8._der(0x30, pkcs8._der(0x06, pkcs8._SCRYPT) + pkcs8._der(0x30, arguments))
    cipher = pkcs8._der(0x30, pkcs8._der(0x06, pkcs8._AES_256_CBC) + pkcs8._der(0x04, bytes(16)))
    scheme = pkcs8._der(0x30, pkcs8._der(0x06, pkcs8._PBES2) + pkcs8._der(0x30, function + cipher))
    return pkcs8._pem(pkcs8._der(0x30, scheme + pkcs8._der(0x04, bytes(144))))


def test_what_policyd_and_others_write_is_within_bounds() -> None:
    require_bounded(encrypt_pkcs8(DER, "x"), where="k.key")
    require_bounded(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")), where="k.key")


@pytest.mark.parametrize(
    ("n", "r", "p"), [(2**30, 8, 1), (2**14, 2**20, 1), (2**14, 8, 2**20), (2**62, 8, 1)], ids=["n", "r", "p", "huge"]
)
def test_a_key_that_would_take_all_memory_or_time_is_not_opened(tmp_path: Path, n: int, r: int, p: int) -> None:
    path = tmp_path / "k.key"
    path.write_bytes(_asking_for(n, r, p))
    path.chmod(0o600)

    with pytest.raises(KeyUnusable, match="MiB of memory"):
        load_key(path, password="x")


def test_a_key_with_countless_rounds_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "k.key"
    plain = tmp_path / "plain"
    plain.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    command = ["openssl", "pkcs8", "-topk8", "-in", str(plain), "-out", str(path), "-passout", "pass:x"]
    subprocess.run([*command, "-iter", "10000001"], check=True, timeout=120)
    path.chmod(0o600)

    with pytest.raises(KeyUnusable, match="rounds"):
        load_key(path, password="x")


def test_a_key_under_an_old_scheme_is_not_opened(tmp_path: Path) -> None:
    """PKCS#5 1.5 and PKCS#12 schemes: a single DES or 40 bits of RC2, and numbers of their own to bound."""
    path = tmp_path / "k.key"
    plain = tmp_path / "plain"
    plain.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    command = ["openssl", "pkcs8", "-topk8", "-in", str(plain), "-out", str(path), "-passout", "pass:x"]
    subprocess.run([*command, "-v1", "PBE-SHA1-3DES"], check=True, timeout=120)
    path.chmod(0o600)

    with pytest.raises(KeyUnusable, match="PBES2"):
        load_key(path, password="x")


@given(st.binary(max_size=200))
def test_any_bytes_are_in_bounds_or_refused(content: bytes) -> None:
    with contextlib.suppress(KeyUnusable):
        require_bounded(pkcs8._pem(content), where="x")


@given(st.integers(0, 250), st.integers(0, 255))
def test_a_changed_key_is_in_bounds_or_refused(at: int, value: int) -> None:
    changed = bytearray(_asking_for(2**14, 8, 5))
    changed[at] = value
    with contextlib.suppress(KeyUnusable):
        require_bounded(bytes(changed), where="x")
