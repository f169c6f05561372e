"""Private keys encrypted under a passphrase: PKCS#8 with scrypt and AES-256-CBC, as `openssl pkcs8 -scrypt` writes it.

cryptography reads this form and does not write it: what it writes derives the key with 2,048 rounds of PBKDF2
(measured, cryptography 50), so a copied file falls to guessing. Only the outer structure is put together here; scrypt,
AES and the padding are cryptography's.

Source: RFC 5958 (EncryptedPrivateKeyInfo), RFC 8018 section 6.2 (PBES2), RFC 7914 section 7 (scrypt parameters).
"""

from __future__ import annotations

import base64
import os
import textwrap

# OWASP's choice for 16 MiB of memory; more memory than that OpenSSL refuses to unlock by default (32 MiB).
SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**14, 8, 5
_SALT_BYTES = 16
_AES_BLOCK_BITS = 128
_AES_KEY_BYTES = 32

_SEQUENCE, _INTEGER, _OCTET_STRING, _OID = 0x30, 0x02, 0x04, 0x06
_PBES2 = bytes.fromhex("2a864886f70d01050d")  # 1.2.840.113549.1.5.13
_SCRYPT = bytes.fromhex("2b06010401da47040b")  # 1.3.6.1.4.1.11591.4.11
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
