"""Sigstore bundles on disk: what was signed, with what is needed to verify it.

policyd writes bundles of managed keys: the key is named by a hint (base64 of the SHA-256 of its DER) and sits in the
trust policy of whoever verifies, never in the bundle. An attestation is a DSSE envelope with one signature; a signed
file is a message signature over the file's SHA-256.

Source: sigstore/protobuf-specs v0.5.1, protos/sigstore_bundle.proto and sigstore_common.proto, in proto3 JSON.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

from policyd.attestation.dsse import (
    MAX_ENVELOPE_BYTES,
    MAX_ENVELOPE_DEPTH,
    MAX_SIGNATURE_BYTES,
    Envelope,
    envelope_from_json,
    envelope_to_json,
    read_base64,
)
from policyd.errors import DocumentError
from policyd.models.base import Sha256
from policyd.models.strict_json import read_json

BUNDLE_V03 = "application/vnd.dev.sigstore.bundle.v0.3+json"
#: Both spellings of v0.3. Older versions are not read: they let a bundle promise less (docs/threats.md, T11).
_READABLE = (BUNDLE_V03, "application/vnd.dev.sigstore.bundle+json;version=0.3")
_SHA256_BYTES = 32


@dataclass(frozen=True, slots=True)
class MessageSignature:
    """A signature over a file's bytes, and the SHA-256 the bundle says the file has. Nothing in here is verified."""

    sha256: Sha256
    signature: bytes


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle holds. `key_hint` names a key to try first; it decides nothing."""

    content: Envelope | MessageSignature
    key_hint: str = ""


def read_bundle(content: bytes, *, where: str) -> Bundle:
    """Return the bundle in `content`: a Sigstore bundle v0.3, or a bare DSSE envelope as its own bundle.

    A bare envelope may carry several signatures (approvals by more than one person); a Sigstore bundle has one.
    Raises `DocumentError` for anything else.
    """
    value = read_json(content, where=where, max_bytes=MAX_ENVELOPE_BYTES, max_depth=MAX_ENVELOPE_DEPTH)
    if not isinstance(value, dict):
        raise _malformed("the bundle is not a JSON object", where)
    if "mediaType" not in value and "payloadType" in value:
        return Bundle(content=envelope_from_json(value, where=where))

    # 1. The version, before anything that it gives a meaning to.
    media_type = value.get("mediaType")
    if media_type not in _READABLE:
        raise _malformed(f"the media type is {media_type!r}, not {BUNDLE_V03}", where)

    # 2. The verification material: only a key's hint is of use here.
    material = value.get("verificationMaterial")
    if not isinstance(material, dict):
        raise _malformed("verificationMaterial is missing", where)
    hint = ""
    if (public_key := material.get("publicKey")) is not None:
        if not isinstance(public_key, dict) or not isinstance(public_key.get("hint", ""), str):
            raise _malformed("verificationMaterial.publicKey is malformed", where)
        hint = public_key.get("hint", "")

    # 3. Exactly one kind of content: a bundle read one way by one tool and another way by the next is refused.
    if ("dsseEnvelope" in value) == ("messageSignature" in value):
        raise _malformed("the bundle does not hold exactly one of dsseEnvelope and messageSignature", where)
    if "messageSignature" in value:
        return Bundle(content=_read_message_signature(value["messageSignature"], where), key_hint=hint)
    envelope = envelope_from_json(value["dsseEnvelope"], where=where)
    if len(envelope.signatures) != 1:
        raise _malformed("the envelope in a Sigstore bundle must have exactly one signature", where)
    return Bundle(content=envelope, key_hint=hint)


def read_attestation(content: bytes, *, where: str) -> Envelope:
    """Return the envelope of an attestation, in a bundle or bare; `DocumentError` for a signed file."""
    bundle = read_bundle(content, where=where)
    if not isinstance(bundle.content, Envelope):
        raise _malformed("the bundle holds the signature of a file, not an attestation", where)
    return bundle.content


def render_bundle(content: Envelope | MessageSignature, *, key_sha256: Sha256) -> bytes:
    """Return the Sigstore bundle v0.3 of what the key with fingerprint `key_sha256` signed."""
    value: dict[str, object] = {
        "mediaType": BUNDLE_V03,
        "verificationMaterial": {
            "publicKey": {"hint": base64.b64encode(bytes.fromhex(key_sha256)).decode()},
            "tlogEntries": [],  # cosign leaves an empty list out; sigstore-models asks for it, and both read it
        },
    }
    if isinstance(content, Envelope):
        value["dsseEnvelope"] = envelope_to_json(content)
    else:
        value["messageSignature"] = {
            "messageDigest": {
                "algorithm": "SHA2_256",
                "digest": base64.b64encode(bytes.fromhex(content.sha256)).decode(),
            },
            "signature": base64.b64encode(content.signature).decode(),
        }
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _read_message_signature(value: object, where: str) -> MessageSignature:
    if not isinstance(value, dict) or not isinstance(digest := value.get("messageDigest"), dict):
        raise _malformed("messageSignature has no messageDigest", where)
    if digest.get("algorithm") != "SHA2_256":
        raise _malformed(f"the message digest is {digest.get('algorithm')!r}, not SHA2_256", where)
    sha256 = read_base64(digest.get("digest"), where=f"{where}, message digest")
    signature = read_base64(value.get("signature"), where=f"{where}, signature")
    if len(sha256) != _SHA256_BYTES or not 0 < len(signature) <= MAX_SIGNATURE_BYTES:
        raise _malformed("the digest or the signature has the wrong length", where)
    return MessageSignature(sha256=sha256.hex(), signature=signature)


def _malformed(cause: str, where: str) -> DocumentError:
    return DocumentError(cause, where=where, fix=f"give a bundle of type {BUNDLE_V03} as its signer wrote it")
