"""Private keys encrypted under a passphrase: PKCS#8 with scrypt and AES-256-CBC, as `openssl pkcs8 -scrypt` writes it.

cryptography reads this form and does not write it: what it writes derives the key with 2,048 rounds of PBKDF2
(measured, cryptography 50), so a copied file falls to guessing. Only the outer structure is put together here; scrypt,
AES and the padding are cryptography's.

cryptography derives with whatever a file asks for: 4 GiB and 35 seconds for one of 300 bytes (measured). So the outer
structure is looked at before it is decrypted.

Source: RFC 5958 (EncryptedPrivateKeyInfo), RFC 8018 section 6.2 (PBES2), RFC 7914 section 7 (scrypt parameters).
"""

from __future__ import annotations

import base64
import binascii
import os
import textwrap

from policyd.errors import KeyUnusable

# OWASP's choice for 16 MiB of memory; more memory than that OpenSSL refuses to unlock by default (32 MiB).
SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**14, 8, 5
#: What a file may ask for, in bytes of memory and in rounds: 16 times what is written here, and some seconds.
MAX_SCRYPT_BYTES, MAX_SCRYPT_P = 256 * 1024 * 1024, 16
MAX_PBKDF2_ROUNDS = 10_000_000
_SALT_BYTES = 16
_AES_BLOCK_BITS = 128
_AES_KEY_BYTES = 32

_SEQUENCE, _INTEGER, _OCTET_STRING, _OID = 0x30, 0x02, 0x04, 0x06
_PBES2 = bytes.fromhex("2a864886f70d01050d")  # 1.2.840.113549.1.5.13
_SCRYPT = bytes.fromhex("2b06010401da47040b")  # 1.3.6.1.4.1.11591.4.11
_PBKDF2 = bytes.fromhex("2a864886f70d01050c")  # 1.2.840.113549.1.5.12
_AES_256_CBC = bytes.fromhex("60864801650304012a")  # 2.16.840.1.101.3.4.1.42
_LONG_FORM = 0x80  # DER: lengths from 128 on are preceded by how many bytes they take


def encrypt_pkcs8(private_key_der: bytes, password: str) -> bytes:
    """Return PEM (`-----BEGIN ENCRYPTED PRIVATE KEY-----`) of a PKCS#8 key, under a passphrase that is not empty."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
    from cryptography.hazmat.primitives.padding import PKCS7

    if not password:
        raise ValueError("an empty passphrase encrypts nothing")
    salt, iv = os.urandom(_SALT_BYTES), os.urandom(_AES_BLOCK_BITS // 8)
    secret = password.encode(
        "utf-8", "surrogateescape"
    )  # bytes of the environment that are no UTF-8 stay what they are
    key = Scrypt(salt=salt, length=_AES_KEY_BYTES, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P).derive(secret)
    padder = PKCS7(_AES_BLOCK_BITS).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    encrypted = encryptor.update(padder.update(private_key_der) + padder.finalize()) + encryptor.finalize()

    scrypt_parameters = _der(
        _SEQUENCE,
        _der(_OCTET_STRING, salt) + _integer(SCRYPT_N) + _integer(SCRYPT_R) + _integer(SCRYPT_P),
    )
    key_derivation = _der(_SEQUENCE, _der(_OID, _SCRYPT) + scrypt_parameters)
    encryption = _der(_SEQUENCE, _der(_OID, _AES_256_CBC) + _der(_OCTET_STRING, iv))
    algorithm = _der(_SEQUENCE, _der(_OID, _PBES2) + _der(_SEQUENCE, key_derivation + encryption))
    return _pem(_der(_SEQUENCE, algorithm + _der(_OCTET_STRING, encrypted)))


def require_bounded(pem: bytes, *, where: str) -> None:
    """Return if the key in `pem` (`ENCRYPTED PRIVATE KEY`) asks for a sane effort to open, else raise `KeyUnusable`."""
    try:
        body = pem.split(b"-----BEGIN ENCRYPTED PRIVATE KEY-----", 1)[1].split(b"-----END", 1)[0]
        # EncryptedPrivateKeyInfo → algorithm → PBES2's parameters → keyDerivationFunc
        (_, algorithm), *_ = _read_all(_read_one(base64.b64decode(body), _SEQUENCE))
        (_, scheme), (_, parameters), *_ = _read_all(algorithm)
        if scheme != _PBES2:
            raise _unusable("it is not encrypted with PBES2", where)
        (_, derivation), *_ = _read_all(parameters)
        (_, function), (_, arguments), *_ = _read_all(derivation)
        integers = [int.from_bytes(content, "big") for tag, content in _read_all(arguments) if tag == _INTEGER]
    except (IndexError, ValueError, binascii.Error) as error:
        raise _unusable("it is no encrypted key in PKCS#8", where) from error
    if function == _SCRYPT and len(integers) >= 3:
        n, r, p = integers[:3]
        if n * r * 128 > MAX_SCRYPT_BYTES or p > MAX_SCRYPT_P:
            raise _unusable(f"opening it would take {n * r * 128 // 1024**2} MiB of memory, {p} times", where)
    elif function == _PBKDF2 and integers:
        if integers[0] > MAX_PBKDF2_ROUNDS:
            raise _unusable(f"opening it would take {integers[0]} rounds", where)
    else:
        raise _unusable("its passphrase is not stretched with scrypt or PBKDF2", where)


def _read_one(der: bytes, expected: int) -> bytes:
    (tag, content), *more = _read_all(der)
    if tag != expected or more:
        raise ValueError("not what is expected")
    return content


def _read_all(der: bytes) -> list[tuple[int, bytes]]:
    """Return the tags and contents that stand side by side in `der`; `ValueError` or `IndexError` if it is broken."""
    found = []
    while der:
        tag, length, start = der[0], der[1], 2
        if length >= _LONG_FORM:
            start += length - _LONG_FORM
            length = int.from_bytes(der[2:start], "big")
        if len(der) < start + length:
            raise ValueError("cut short")
        found.append((tag, der[start : start + length]))
        der = der[start + length :]
    return found


def _unusable(cause: str, where: str) -> KeyUnusable:
    return KeyUnusable(
        f"the key is not opened: {cause}", where=where, fix="encrypt it anew: openssl pkcs8 -topk8 -scrypt -in KEY"
    )


def _der(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < _LONG_FORM:
        return bytes([tag, length]) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, _LONG_FORM | len(size)]) + size + content


def _integer(value: int) -> bytes:
    # One byte more than the bits need: the first bit is the sign.
    return _der(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _pem(der: bytes) -> bytes:
    lines = textwrap.wrap(base64.b64encode(der).decode(), 64)
    return "\n".join(
        ["-----BEGIN ENCRYPTED PRIVATE KEY-----", *lines, "-----END ENCRYPTED PRIVATE KEY-----", ""]
    ).encode()
