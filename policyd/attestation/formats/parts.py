"""The small things that foreign forms are made of: objects, texts, certificates in PEM, hexadecimal digests."""

from __future__ import annotations

import base64
import re

from policyd.attestation.dsse import read_base64
from policyd.attestation.material import MAX_CERTIFICATES, malformed

#: RFC 7468 in its strict form: a label that is the same twice, lines of base64, nothing between. Possessive, so that
#: a text that is none is seen at once.
_BLOCK = re.compile(
    r"-----BEGIN (CERTIFICATE|PUBLIC KEY)-----\r?\n((?:[A-Za-z0-9+/=]{1,76}\r?\n)++)-----END \1-----\r?\n*+", re.ASCII
)
_MAX_PEM_CHARACTERS = 256 * 1024
_HEX = re.compile(r"(?:[0-9a-f]{2}){1,64}", re.ASCII)


def require_object(value: object, name: str, where: str) -> dict[str, object]:
    """Return a JSON object; `DocumentError` for anything else."""
    if not isinstance(value, dict):
        raise malformed(f"{name} is missing or no JSON object", where)
    return value


def require_list(value: object, name: str, most: int, where: str) -> list[object]:
    """Return a list of 1 to `most` items; `DocumentError` for anything else."""
    if not isinstance(value, list) or not 0 < len(value) <= most:
        raise malformed(f"{name} is no list of 1 to {most} items", where)
    return value


def require_text(value: object, name: str, where: str) -> str:
    """Return a text that is not empty; `DocumentError` for anything else."""
    if not isinstance(value, str) or not value:
        raise malformed(f"{name} is missing or no text", where)
    return value


def read_hex(value: object, name: str, where: str) -> bytes:
    """Return what lower-case hex digits stand for."""
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise malformed(f"{name} is not written in lower-case hex digits", where)
    return bytes.fromhex(value)


def read_pem(text: str, *, where: str) -> tuple[bytes, ...]:
    """Return the certificates in PEM text, in DER; none where it holds a public key.

    A public key that comes along is no reason to trust anything, so nothing reads it.
    """
    if len(text) > _MAX_PEM_CHARACTERS:
        raise malformed("the PEM is too long", where)
    found: list[bytes] = []
    labels = set()
    position = 0
    while position < len(text):
        block = _BLOCK.match(text, position)
        if block is None or len(found) >= MAX_CERTIFICATES:
            raise malformed(f"no PEM of 1 to {MAX_CERTIFICATES} certificates and nothing else", where)
        labels.add(block[1])
        found.append(read_base64("".join(block[2].split()), where=where))
        position = block.end()
    if not found or (labels != {"CERTIFICATE"} and len(found) > 1):
        raise malformed("the PEM holds neither certificates alone nor one public key", where)
    return tuple(found) if labels == {"CERTIFICATE"} else ()


def read_encoded_pem(value: object, name: str, where: str) -> tuple[bytes, ...]:
    """Return the certificates in base64 of PEM text."""
    try:
        text = read_base64(value, where=f"{where}, {name}").decode("ascii")
    except UnicodeDecodeError as error:
        raise malformed(f"{name} holds no PEM", where) from error
    return read_pem(text, where=f"{where}, {name}")


def encoded(content: bytes) -> str:
    """Return standard base64, as bundles have it."""
    return base64.b64encode(content).decode()
