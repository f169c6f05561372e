"""Evidence as policyd keeps and hands it on: whatever form it came in, a Sigstore bundle, or a bare DSSE envelope.

What is signed, and what it is verified with, goes through unchanged; what nobody signed and nothing reads is left
behind. The same evidence always makes the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from policyd.attestation.bundle import Bundle, MessageSignature
from policyd.attestation.dsse import Envelope, envelope_to_json
from policyd.attestation.formats.parts import encoded
from policyd.attestation.keys import DigestName
from policyd.attestation.material import BundleVersion, LogEntry, Material

_MEDIA_TYPES = {
    BundleVersion.V0_1: "application/vnd.dev.sigstore.bundle+json;version=0.1",
    BundleVersion.V0_2: "application/vnd.dev.sigstore.bundle+json;version=0.2",
    BundleVersion.V0_3: "application/vnd.dev.sigstore.bundle.v0.3+json",
}
_DIGESTS: dict[DigestName, str] = {"sha256": "SHA2_256", "sha384": "SHA2_384", "sha512": "SHA2_512"}


def render_evidence(bundle: Bundle, digests: Mapping[DigestName, bytes] | None = None) -> bytes:
    """Return `bundle` as one line of JSON that ends in a newline.

    `digests` are those of the file that a signature is for, where it came in a form that names none.
    """
    content = bundle.content
    if isinstance(content, Envelope) and bundle.version is None and bundle.material == Material():
        return _to_line(envelope_to_json(content))
    version = bundle.version or BundleVersion.V0_3
    if version is BundleVersion.V0_3 and len(bundle.material.certificates) > 1:
        version = BundleVersion.V0_2  # the last with a place for a chain; it promises the same
    value: dict[str, object] = {
        "mediaType": _MEDIA_TYPES[version],
        "verificationMaterial": _material_to_json(bundle.material, version),
    }
    if isinstance(content, Envelope):
        value["dsseEnvelope"] = envelope_to_json(content)
    else:
        value["messageSignature"] = _signature_to_json(content, digests or {})
    return _to_line(value)


def _material_to_json(material: Material, version: BundleVersion) -> dict[str, object]:
    certificates = [{"rawBytes": encoded(one)} for one in material.certificates]
    value: dict[str, object] = {}
    if not certificates:
        value["publicKey"] = {"hint": material.key_hint}
    elif version is BundleVersion.V0_3:
        value["certificate"] = certificates[0]
    else:
        value["x509CertificateChain"] = {"certificates": certificates}
    value["tlogEntries"] = [_entry_to_json(entry) for entry in material.entries]
    if material.timestamps:
        value["timestampVerificationData"] = {
            "rfc3161Timestamps": [{"signedTimestamp": encoded(one)} for one in material.timestamps]
        }
    return value


def _entry_to_json(entry: LogEntry) -> dict[str, object]:
    value: dict[str, object] = {
        "logIndex": str(entry.log_index),
        "logId": {"keyId": encoded(entry.log_id)},
        "kindVersion": {"kind": entry.kind, "version": entry.version},
    }
    if entry.integrated_time is not None:
        value["integratedTime"] = str(entry.integrated_time)
    if entry.promise is not None:
        value["inclusionPromise"] = {"signedEntryTimestamp": encoded(entry.promise)}
    if entry.proof is not None:
        value["inclusionProof"] = {
            "logIndex": str(entry.proof.log_index),
            "rootHash": encoded(entry.proof.root),
            "treeSize": str(entry.proof.tree_size),
            "hashes": [encoded(one) for one in entry.proof.hashes],
            "checkpoint": {"envelope": entry.proof.checkpoint},
        }
    value["canonicalizedBody"] = encoded(entry.body)
    return value


def _signature_to_json(signature: MessageSignature, digests: Mapping[DigestName, bytes]) -> dict[str, object]:
    digest: dict[str, str] = {}
    if signature.digest:
        digest = {"algorithm": _DIGESTS[signature.algorithm], "digest": encoded(signature.digest)}
    elif "sha256" in digests:
        digest = {"algorithm": _DIGESTS["sha256"], "digest": encoded(digests["sha256"])}
    return {"messageDigest": digest, "signature": encoded(signature.signature)}


def _to_line(value: dict[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
