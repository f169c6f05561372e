"""DSSE: signed bytes with their type and their signatures.

What is signed is the pre-authentication encoding (`pae`) of a type and a payload. An `Envelope` carries the payload
exactly as it was received: verification and parsing both work on those bytes, and nothing is encoded again in
between. Reading an envelope checks form only; whether a signature counts is decided in `trust`.

Source: DSSE v1.0.2, protocol.md and envelope.md.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

from policyd.errors import DocumentError
from policyd.models.strict_json import read_json

#: The largest envelope or bundle read: an SBOM of a large product has some 10 MB. Reading takes three times as much.
MAX_ENVELOPE_BYTES = 48 * 1024 * 1024
#: Quotes, commas and brackets of an envelope or bundle: one with 8 log entries of a full log has 3,000.
MAX_ENVELOPE_PARTS = 20_000
MAX_ENVELOPE_DEPTH = 16  # an envelope needs 3, a Sigstore bundle with log entries 8
MAX_SIGNATURES = 16  # more than any approval rule; keeps verification cheap
MAX_SIGNATURE_BYTES = 1024  # the longest in our list, ECDSA P-384 in DER, has 104
MAX_PAYLOAD_TYPE = 256  # a media type or a URI

#: How every DSSE pre-authentication encoding starts. Content that starts so is never signed as a plain file, because
#: that signature would be one of an envelope (docs/threats.md, T37).
PAE_START = b"DSSEv1 "

_URL_SAFE = str.maketrans("-_", "+/")


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature. `keyid` comes from whoever wrote the envelope: a hint, never a reason."""

    value: bytes
    keyid: str = ""


@dataclass(frozen=True, slots=True)
class Envelope:
    """Bytes, their type, and signatures over both. Nothing in here is verified."""

    payload: bytes
    payload_type: str
    signatures: tuple[Signature, ...]

    def signed_bytes(self) -> bytes:
        """Return the bytes that each signature covers."""
        return pae(self.payload_type, self.payload)


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes a DSSE signature covers.

    `payload` is the statement exactly as received. Lengths count bytes, not characters.

    Source: DSSE v1.0.2, protocol.md, "Signature Definition".
    """
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def read_envelope(content: bytes, *, where: str) -> Envelope:
    """Return the envelope in `content`, a DSSE JSON envelope; `DocumentError` if it isn't one."""
    value = read_json(
        content,
        where=where,
        max_bytes=MAX_ENVELOPE_BYTES,
        max_depth=MAX_ENVELOPE_DEPTH,
        max_parts=MAX_ENVELOPE_PARTS,
    )
    return envelope_from_json(value, where=where)


def envelope_from_json(value: object, *, where: str, unsigned: bool = False) -> Envelope:
    """Return the envelope in a parsed JSON value; `DocumentError` if it isn't one, or if nobody signed it.

    With `unsigned`, one that waits for its first signature will do.

    Fields that DSSE does not define are left alone: they are not signed, and nothing here reads them.
    """
    if not isinstance(value, dict):
        raise _malformed("the envelope is not a JSON object", where)
    payload, payload_type, signatures = value.get("payload"), value.get("payloadType"), value.get("signatures")
    if not isinstance(payload_type, str) or not 0 < len(payload_type) <= MAX_PAYLOAD_TYPE:
        raise _malformed(f"payloadType is not a string of 1 to {MAX_PAYLOAD_TYPE} characters", where)
    fewest = 0 if unsigned else 1
    if not isinstance(signatures, list) or not fewest <= len(signatures) <= MAX_SIGNATURES:
        raise _malformed(f"signatures is not a list of 1 to {MAX_SIGNATURES} signatures", where)
    return Envelope(
        payload=read_base64(payload, where=f"{where}, payload"),
        payload_type=payload_type,
        signatures=tuple(_read_signature(item, f"{where}, signature {n}") for n, item in enumerate(signatures, 1)),
    )


def envelope_to_json(envelope: Envelope) -> dict[str, object]:
    """Return the JSON value of an envelope. An empty `keyid` is left out: cosign refuses one it doesn't know."""
    return {
        "payload": base64.b64encode(envelope.payload).decode(),
        "payloadType": envelope.payload_type,
        "signatures": _signatures_to_json(envelope.signatures),
    }


def read_base64(text: object, *, where: str) -> bytes:
    """Return what `text` encodes in standard or URL-safe base64 (DSSE allows both), with its padding.

    One text stands for one value and the other way round: anything else (white space, other characters, the two
    alphabets mixed, missing padding, spare bits that are not zero) is a `DocumentError`. `base64.b64decode` and
    pydantic's `Base64Bytes` drop what they do not know, and then bytes can change without changing what they decode to.
    """
    if not isinstance(text, str):
        raise _malformed("not a base64 string", where)
    standard = text
    if "-" in text or "_" in text:
        if "+" in text or "/" in text:
            raise _malformed("the base64 mixes the standard and the URL-safe alphabet", where)
        standard = text.translate(_URL_SAFE)
    try:
        value = binascii.a2b_base64(standard, strict_mode=True)
        # Only the last four characters can stand for bytes in several ways.
        last = standard[-4:]
        canonical = len(standard) % 4 == 0 and base64.b64encode(binascii.a2b_base64(last)).decode() == last
    except (binascii.Error, ValueError) as error:
        raise _malformed(f"not base64: {error}", where) from error
    if not canonical:
        raise _malformed("not canonical base64: its padding or spare bits are wrong", where)
    return value


def _read_signature(value: object, where: str) -> Signature:
    if not isinstance(value, dict):
        raise _malformed("the signature is not a JSON object", where)
    keyid = value.get("keyid", "")
    if not isinstance(keyid, str) or len(keyid) > MAX_PAYLOAD_TYPE:
        raise _malformed(f"keyid is not a string of at most {MAX_PAYLOAD_TYPE} characters", where)
    signature = read_base64(value.get("sig"), where=where)
    if not 0 < len(signature) <= MAX_SIGNATURE_BYTES:
        raise _malformed(f"the signature does not have 1 to {MAX_SIGNATURE_BYTES} bytes", where)
    return Signature(value=signature, keyid=keyid)


def _signatures_to_json(signatures: Sequence[Signature]) -> list[dict[str, str]]:
    return [
        {"sig": base64.b64encode(signature.value).decode()} | ({"keyid": signature.keyid} if signature.keyid else {})
        for signature in signatures
    ]


def _malformed(cause: str, where: str) -> DocumentError:
    return DocumentError(cause, where=where, fix="give the envelope or bundle as its signer wrote it")
