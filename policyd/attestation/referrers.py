"""The documents that tie bundles to an image in a registry: descriptors, image manifests with a subject, indexes.

A bundle is pushed as an artifact of its own: one manifest, whose `subject` is the image and whose only layer is the
bundle. What a registry lists are hints where to look. Whether a bundle speaks of an image is settled by its signature.

Source: OCI image specification 1.1, manifest.md ("Guidelines for Artifact Usage") and image-index.md; OCI distribution
specification 1.1, "Listing Referrers" and "Pushing Manifests with Subject"; cosign, specs/BUNDLE_SPEC.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from policyd.attestation.bundle import BUNDLE_V03, Bundle
from policyd.attestation.dsse import Envelope
from policyd.errors import DocumentError
from policyd.models.base import Sha256, rfc3339
from policyd.models.strict_json import read_json

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
#: What an image may be, and the field that each kind has and the other must not.
SUBJECT_TYPES: Mapping[str, str] = {
    MANIFEST: "layers",
    INDEX: "manifests",
    DOCKER_MANIFEST: "layers",
    DOCKER_INDEX: "manifests",
}
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
EMPTY = b"{}"
#: Every version of a Sigstore bundle begins so; which of them count is asked when it is verified.
_BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle"
#: What registries have to take, and what none of them exceeds.
MAX_MANIFEST_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 32
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a registry has under a digest: the kind and size are claims until the bytes are at hand."""

    media_type: str
    sha256: Sha256
    size: int

    @property
    def digest(self) -> str:
        """The digest as registries write it."""
        return f"sha256:{self.sha256}"

    def to_json(self) -> dict[str, object]:
        """Return it as it stands in a manifest."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


def describe(content: bytes, media_type: str) -> Descriptor:
    """Return the descriptor of bytes at hand."""
    return Descriptor(media_type, hashlib.sha256(content).hexdigest(), len(content))


def read_subject(content: bytes, media_type: str, *, where: str) -> Descriptor:
    """Return the descriptor of the image whose manifest is `content`, which the registry calls a `media_type`.

    Raises `DocumentError` for one that is no image, or that different tools would read as different things: a manifest
    and an index at once (CVE-2021-41190).
    """
    value = _read_object(content, where)
    if media_type not in SUBJECT_TYPES:
        raise _malformed(f"the registry calls it {media_type[:128]!r}, which is no image", where)
    if value.get("mediaType", media_type) != media_type:
        raise _malformed(f"it calls itself {str(value['mediaType'])[:128]!r}, and the registry {media_type!r}", where)
    expected = SUBJECT_TYPES[media_type]
    if not isinstance(value.get(expected), list) or any(
        other in value for other in ("layers", "manifests") if other != expected
    ):
        raise _malformed(f"it is not a {media_type} and nothing else", where)
    return describe(content, media_type)


def read_referrers(content: bytes, *, where: str) -> tuple[Descriptor, ...]:
    """Return the bundles that an index of referrers lists; whatever else refers to the image is left out."""
    return tuple(
        read_descriptor(entry, where=where)
        for entry in _read_index(content, where)[1]
        if str(entry.get("artifactType", "")).startswith(_BUNDLE_TYPE)
    )


def read_bundle_manifest(content: bytes, subject: Sha256, *, where: str) -> Descriptor:
    """Return where the bundle lies whose manifest is `content`; `DocumentError` for one that is of another image."""
    value = _read_object(content, where)
    if value.get("mediaType", MANIFEST) != MANIFEST or "manifests" in value:
        raise _malformed("what refers to the image is no image manifest", where)
    refers_to = value.get("subject")
    if not isinstance(refers_to, dict) or refers_to.get("digest") != f"sha256:{subject}":
        raise _malformed("it does not refer to this image", where)
    layers = value.get("layers")
    if not isinstance(layers, list) or len(layers) != 1 or not isinstance(layers[0], dict):
        raise _malformed("it does not have exactly one layer, the bundle", where)
    layer = read_descriptor(layers[0], where=where)
    if not layer.media_type.startswith(_BUNDLE_TYPE):
        raise _malformed(f"its layer is {layer.media_type[:128]!r} and no bundle", where)
    return layer


def render_bundle_manifest(
    bundle: Bundle, content: bytes, subject: Descriptor, *, predicate_type: str | None, created: datetime
) -> bytes:
    """Return the manifest under which the bundle with the bytes `content` refers to `subject`, laid out as cosign's."""
    layer = describe(content, BUNDLE_V03)
    annotations = {
        "dev.sigstore.bundle.content": "dsse-envelope" if isinstance(bundle.content, Envelope) else "message-signature",
        "org.opencontainers.image.created": rfc3339(created),
    }
    if predicate_type is not None:
        annotations["dev.sigstore.bundle.predicateType"] = predicate_type
    title = {"org.opencontainers.image.title": f"sha256-{layer.sha256}.sigstore.json"}
    return _to_bytes(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": BUNDLE_V03,
            "config": describe(EMPTY, EMPTY_TYPE).to_json(),
            "layers": [{**layer.to_json(), "annotations": title}],
            "subject": subject.to_json(),
            "annotations": annotations,
        }
    )


def add_referrer(index: bytes | None, manifest: bytes, *, where: str) -> bytes | None:
    """Return the index of referrers with `manifest` in it as well; None where it is there already.

    What the index says of others stays as it is. Raises `DocumentError` where there is something else under its tag.
    """
    entry = describe(manifest, MANIFEST)
    described = _read_object(manifest, where)
    value: dict[str, object] = {"schemaVersion": 2, "mediaType": INDEX}
    listed: list[dict[str, object]] = []
    if index is not None:
        value, listed = _read_index(index, where)
    if any(other.get("digest") == entry.digest for other in listed):
        return None
    copied = {key: described[key] for key in ("artifactType", "annotations")}
    return _to_bytes({**value, "manifests": [*listed, {**entry.to_json(), **copied}]})


def read_descriptor(value: object, *, where: str) -> Descriptor:
    """Return the descriptor in a manifest or index; `DocumentError` for one that is none, or not by SHA-256."""
    if isinstance(value, dict):
        media_type, digest, size = value.get("mediaType"), value.get("digest"), value.get("size")
        algorithm, _, hex_digits = digest.partition(":") if isinstance(digest, str) else ("", "", "")
        by_sha256 = algorithm == "sha256" and len(hex_digits) == 64 and _HEX.issuperset(hex_digits)
        if isinstance(media_type, str) and by_sha256 and type(size) is int and size >= 0:
            return Descriptor(media_type, hex_digits, size)
    raise _malformed("a descriptor has no media type, SHA-256 or size", where)


def _read_index(content: bytes, where: str) -> tuple[dict[str, object], list[dict[str, object]]]:
    """Return an index, and what it lists."""
    value = _read_object(content, where)
    listed = value.get("manifests")
    if value.get("mediaType", INDEX) != INDEX or "layers" in value or not isinstance(listed, list):
        raise _malformed("it is no index of what refers to the image", where)
    if not all(isinstance(entry, dict) for entry in listed):
        raise _malformed("the index lists something that is no descriptor", where)
    return value, listed


def _read_object(content: bytes, where: str) -> dict[str, object]:
    value = read_json(content, where=where, max_bytes=MAX_MANIFEST_BYTES, max_depth=MAX_DEPTH)
    if not isinstance(value, dict):
        raise _malformed("it is not a JSON object", where)
    return value


def _to_bytes(value: dict[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _malformed(cause: str, where: str) -> DocumentError:
    return DocumentError(cause, where=where, fix="name an image or artifact that a registry made or took as OCI's")
