"""DSSE envelopes that carry their signer's certificate themselves: slsa-github-generator's and witness's.

DSSE leaves such fields open. slsa-github-generator writes `cert`, PEM text; witness writes `certificate`,
`intermediates` (base64 of PEM) and `timestamps` (RFC 3161 tokens). Neither brings the entry of a log.

Source: slsa-framework/slsa-github-generator signing/envelope; in-toto/go-witness dsse/dsse.go and timestamp/tsp.go.
"""

from __future__ import annotations

from policyd.attestation.dsse import read_base64
from policyd.attestation.formats.parts import read_encoded_pem, read_pem, require_list, require_object, require_text
from policyd.attestation.material import (
    MAX_CERTIFICATES,
    MAX_TIMESTAMP_BYTES,
    MAX_TIMESTAMPS,
    Material,
    malformed,
)

_GRANTED = b"\x30\x03\x02\x01\x00"  # PKIStatusInfo of a response that holds a token (RFC 3161 section 2.4.2)


def read_envelope_material(value: dict[str, object], *, where: str) -> Material:
    """Return what the one signature of an envelope brings along; nothing for an envelope with several.

    Whose certificate would count for which signature could be read in several ways, and one signer is asked for.
    """
    signatures = value.get("signatures")
    if not isinstance(signatures, list) or len(signatures) != 1:
        return Material()
    signature = require_object(signatures[0], "the signature", where)
    if "cert" in signature and "certificate" in signature:
        raise malformed("the signature names two certificates", where)
    certificates: tuple[bytes, ...] = ()
    if signature.get("cert") is not None:
        certificates = read_pem(require_text(signature["cert"], "cert", where), where=f"{where}, cert")
    elif signature.get("certificate") is not None:
        certificates = read_encoded_pem(signature["certificate"], "certificate", where)
        if signature.get("intermediates"):
            for one in require_list(signature["intermediates"], "intermediates", MAX_CERTIFICATES - 1, where):
                certificates += read_encoded_pem(one, "intermediates", where)
        if len(certificates) > MAX_CERTIFICATES:
            raise malformed(f"more than {MAX_CERTIFICATES} certificates", where)
    timestamps: tuple[bytes, ...] = ()
    if signature.get("timestamps"):
        listed = require_list(signature["timestamps"], "timestamps", MAX_TIMESTAMPS, where)
        timestamps = tuple(_read_timestamp(one, where) for one in listed)
    return Material(certificates=certificates, timestamps=timestamps)


def _read_timestamp(value: object, where: str) -> bytes:
    """Return a witness timestamp as the response it came in: witness keeps the token alone."""
    timestamp = require_object(value, "the timestamp", where)
    if timestamp.get("type") != "tsp":
        raise malformed("a timestamp is not of the type tsp (RFC 3161)", where)
    token = read_base64(timestamp.get("data"), where=f"{where}, timestamp")
    if not 0 < len(token) <= MAX_TIMESTAMP_BYTES:
        raise malformed("the timestamp has the wrong length", where)
    return _sequence(_GRANTED + token)


def _sequence(content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((0x30, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((0x30, 0x80 | len(length))) + length + content
