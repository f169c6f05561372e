"""Sigstore bundles on disk: what was signed, with what is needed to verify it.

Bundles of every version and of any signer are read; `material` has what they bring. policyd writes bundles of managed
keys: the key is named by a hint (base64 of the SHA-256 of its DER) and sits in the trust policy of whoever verifies,
never in the bundle. An attestation is a DSSE envelope with one signature; a signed file is a message signature with the
file's digest. RFC 3161 timestamps of the signature may come with either.

Source: sigstore/protobuf-specs v0.5.1, protos/sigstore_bundle.proto and sigstore_common.proto, in proto3 JSON.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

from policyd.attestation.dsse import (
    MAX_ENVELOPE_BYTES,
    MAX_ENVELOPE_DEPTH,
    MAX_ENVELOPE_PARTS,
    MAX_SIGNATURE_BYTES,
    Envelope,
    envelope_from_json,
    envelope_to_json,
    read_base64,
)
from policyd.attestation.keys import DigestName
from policyd.attestation.material import VERSIONS, BundleVersion, Material, read_material, read_timestamps
from policyd.errors import DocumentError
from policyd.models.base import Sha256
from policyd.models.strict_json import read_json

BUNDLE_V03 = "application/vnd.dev.sigstore.bundle.v0.3+json"
#: protobuf-specs' names of the digests policyd knows, and their bytes.
_DIGESTS: dict[str, tuple[DigestName, int]] = {
    "SHA2_256": ("sha256", 32),
    "SHA2_384": ("sha384", 48),
    "SHA2_512": ("sha512", 64),
}
_NOTHING = Material()
_DIGEST_NAMES = {name: written for written, (name, _) in _DIGESTS.items()}


@dataclass(frozen=True, slots=True)
class MessageSignature:
    """A signature over a file's bytes, and the digest the bundle says the file has. Nothing in here is verified.

    `digest` is empty where the bundle names none: cosign 3.1.3 leaves it out for Ed25519 keys, which sign no digest.
    A `detached` signature came in a form that has no place for one.
    """

    digest: bytes
    signature: bytes
    algorithm: DigestName = "sha256"
    detached: bool = False


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle holds, and what it brings to be verified with. Nothing in here is verified.

    `version` is None for a bare envelope. `form` says in which other form it came, in words.
    """

    content: Envelope | MessageSignature
    material: Material = _NOTHING
    version: BundleVersion | None = None
    form: str = ""

    @property
    def key_hint(self) -> str:
        """The name of a key to try first; it decides nothing."""
        return self.material.key_hint

    @property
    def timestamps(self) -> tuple[bytes, ...]:
        """RFC 3161 responses over the one signature, in DER."""
        return self.material.timestamps


def read_bundle(content: bytes, *, where: str, oldest: BundleVersion = BundleVersion.V0_3) -> Bundle:
    """Return the bundle in `content`: a Sigstore bundle from version `oldest` on, or a bare DSSE envelope as its own.

    Older versions let a bundle promise less (docs/threats.md, T11), so only who asks for them gets them. A bare
    envelope may carry several signatures (approvals by more than one person); a Sigstore bundle has one. Raises
    `DocumentError` for anything else.
    """
    value = read_json(
        content,
        where=where,
        max_bytes=MAX_ENVELOPE_BYTES,
        max_depth=MAX_ENVELOPE_DEPTH,
        max_parts=MAX_ENVELOPE_PARTS,
    )
    if not isinstance(value, dict):
        raise _malformed("the bundle is not a JSON object", where)
    if "mediaType" not in value and "payloadType" in value:
        return Bundle(content=envelope_from_json(value, where=where))
    return bundle_from_json(value, where=where, oldest=oldest)


def bundle_from_json(
    value: dict[str, object], *, where: str, oldest: BundleVersion = BundleVersion.V0_3, form: str = ""
) -> Bundle:
    """Return the Sigstore bundle in a parsed JSON value; `DocumentError` if it isn't one, or is older than `oldest`."""
    # 1. The version, before anything that it gives a meaning to.
    media_type = value.get("mediaType")
    version = VERSIONS.get(media_type) if isinstance(media_type, str) else None
    if version is None or version < oldest:
        raise _malformed(f"the media type is {str(media_type)[:128]!r}, not {BUNDLE_V03}", where)

    # 2. Each field under its one name: protobuf's JSON knows a second for most, and other tools read either.
    _refuse_second_names(value, where)

    # 3. The verification material.
    material = read_material(value.get("verificationMaterial"), version, where=where)

    # 4. Exactly one kind of content: a bundle read one way by one tool and another way by the next is refused.
    if ("dsseEnvelope" in value) == ("messageSignature" in value):
        raise _malformed("the bundle does not hold exactly one of dsseEnvelope and messageSignature", where)
    if "messageSignature" in value:
        return Bundle(_read_message_signature(value["messageSignature"], where), material, version, form)
    envelope = envelope_from_json(value["dsseEnvelope"], where=where)
    if len(envelope.signatures) != 1:
        raise _malformed("the envelope in a Sigstore bundle must have exactly one signature", where)
    return Bundle(envelope, material, version, form)


def read_attestation(content: bytes, *, where: str) -> Envelope:
    """Return the envelope of an attestation, in a bundle or bare; `DocumentError` for a signed file."""
    return require_attestation(read_bundle(content, where=where), where=where)


def require_attestation(bundle: Bundle, *, where: str) -> Envelope:
    """Return the envelope in `bundle`; `DocumentError` for a signed file."""
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
                "algorithm": _DIGEST_NAMES[content.algorithm],
                "digest": base64.b64encode(content.digest).decode(),
            },
            "signature": base64.b64encode(content.signature).decode(),
        }
    return _to_bytes(value)


def add_timestamp(content: bytes, timestamp: bytes, *, where: str) -> bytes:
    """Return the Sigstore bundle `content` with one more RFC 3161 response over its signature; nothing is verified."""
    value = read_json(content, where=where, max_bytes=MAX_ENVELOPE_BYTES, max_depth=MAX_ENVELOPE_DEPTH)
    if not isinstance(value, dict) or not isinstance(material := value.get("verificationMaterial"), dict):
        raise _malformed("there is no bundle to put a timestamp into", where)
    timestamps = [*read_timestamps(material, where=where), timestamp]
    material["timestampVerificationData"] = {
        "rfc3161Timestamps": [{"signedTimestamp": base64.b64encode(one).decode()} for one in timestamps]
    }
    return _to_bytes(value)


def signature_of(bundle: Bundle) -> bytes:
    """Return the one signature of a Sigstore bundle: what its timestamps are of."""
    return bundle.content.signatures[0].value if isinstance(bundle.content, Envelope) else bundle.content.signature


def _to_bytes(value: dict[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _refuse_second_names(value: dict[str, object], where: str) -> None:
    """Raise `DocumentError` for a field written as `dsse_envelope`: no field of a bundle is, and others read it."""
    left: list[object] = [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            second = next((name for name in one if "_" in name), None)
            if second is not None:
                raise _malformed(f"the field {second[:64]!r} is none of a bundle, or another name of one", where)
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one)


def _read_message_signature(value: object, where: str) -> MessageSignature:
    if not isinstance(value, dict) or not isinstance(message_digest := value.get("messageDigest"), dict):
        raise _malformed("messageSignature has no messageDigest", where)
    signature = read_base64(value.get("signature"), where=f"{where}, signature")
    if not 0 < len(signature) <= MAX_SIGNATURE_BYTES:
        raise _malformed("the signature has the wrong length", where)
    if not message_digest:
        return MessageSignature(digest=b"", signature=signature)
    algorithm = message_digest.get("algorithm")
    if not isinstance(algorithm, str) or algorithm not in _DIGESTS:
        raise _malformed(f"the message digest is {algorithm!r}, not {', '.join(_DIGESTS)}", where)
    name, size = _DIGESTS[algorithm]
    digest = read_base64(message_digest.get("digest"), where=f"{where}, message digest")
    if len(digest) != size:
        raise _malformed("the message digest has the wrong length", where)
    return MessageSignature(digest=digest, signature=signature, algorithm=name)


def _malformed(cause: str, where: str) -> DocumentError:
    return DocumentError(cause, where=where, fix=f"give a bundle of type {BUNDLE_V03} as its signer wrote it")
