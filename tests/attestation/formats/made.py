"""Evidence in every form, made from the bundles of the tests' own Sigstore instance.

Written from each form's specification, and shares no code with what it tests.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.attestation.keyless.instance import SIGNED_AT, Instance, Value, b64, statement

PYPI_PUBLISH = "https://docs.pypi.org/attestations/publish/v1"
NPM_PUBLISH = "https://github.com/npm/attestation/tree/main/specs/publish/v0.1"
WHEEL = "example_project-1.0-py3-none-any.whl"
INSTANCE = Instance()
ROOT = INSTANCE.trusted_root()


def certificate_of(bundle: Value) -> bytes:
    """Return the DER of a bundle's signing certificate."""
    return base64.b64decode(bundle["verificationMaterial"]["certificate"]["rawBytes"])


def pem_of(der: bytes) -> bytes:
    """Return a certificate in PEM."""
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)


def pypi_statement(name: str = WHEEL, **changes: Any) -> bytes:
    """Return PyPI's publish statement about the artifact, with `null` for its predicate, as PyPI has it."""
    sha256 = hashlib.sha256(b"a release\n").hexdigest()
    value = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": sha256}}],
        "predicateType": PYPI_PUBLISH,
        "predicate": None,
    } | changes
    return json.dumps(value).encode()


def pep740(bundle: Value) -> Value:
    """Return the PEP 740 attestation object of an attestation's bundle."""
    return {
        "version": 1,
        "verification_material": {
            "certificate": bundle["verificationMaterial"]["certificate"]["rawBytes"],
            "transparency_entries": bundle["verificationMaterial"]["tlogEntries"],
        },
        "envelope": {
            "statement": bundle["dsseEnvelope"]["payload"],
            "signature": bundle["dsseEnvelope"]["signatures"][0]["sig"],
        },
    }


def pypi_provenance(*bundles: Value) -> Value:
    """Return the provenance object that an index serves for a file."""
    publisher = {"kind": "GitHub", "repository": "example/project", "workflow": "release.yml", "environment": None}
    return {
        "version": 1,
        "attestation_bundles": [{"publisher": publisher, "attestations": [pep740(one)]} for one in bundles],
    }


def npm_answer(*bundles: Value) -> Value:
    """Return the answer of npm's attestations API."""
    return {
        "attestations": [
            {
                "predicateType": json.loads(base64.b64decode(one["dsseEnvelope"]["payload"]))["predicateType"],
                "bundle": one,
            }
            for one in bundles
        ]
    }


def lines(*values: Value) -> bytes:
    """Return JSON Lines, as `gh attestation download` writes them."""
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def generator_envelope(bundle: Value) -> Value:
    """Return what slsa-github-generator wrote before version 2.1: an envelope with its certificate, no log entry."""
    envelope = bundle["dsseEnvelope"]
    return {
        "payloadType": envelope["payloadType"],
        "payload": envelope["payload"],
        "signatures": [
            {
                "keyid": "",
                "sig": envelope["signatures"][0]["sig"],
                "cert": pem_of(certificate_of(bundle)).decode(),
            }
        ],
    }


def witness_envelope(bundle: Value, *, at: datetime = SIGNED_AT) -> Value:
    """Return what witness writes: certificate, intermediates and the timestamp's token beside the signature."""
    envelope = bundle["dsseEnvelope"]
    signature = base64.b64decode(envelope["signatures"][0]["sig"])
    response = INSTANCE.clock.stamp(signature, at)
    token = response[response.index(bytes.fromhex("3003020100")) + 5 :]
    intermediate = INSTANCE.certificates.intermediate.public_bytes(Encoding.PEM)
    return {
        "payload": envelope["payload"],
        "payloadType": envelope["payloadType"],
        "signatures": [
            {
                "keyid": "0" * 64,
                "sig": b64(signature),
                "certificate": b64(pem_of(certificate_of(bundle))),
                "intermediates": [b64(intermediate)],
                "timestamps": [{"type": "tsp", "data": b64(token)}],
            }
        ],
    }


def rekor_answer(bundle: Value) -> Value:
    """Return the log entry of a bundle as Rekor's API gives it."""
    entry = bundle["verificationMaterial"]["tlogEntries"][0]
    proof = entry["inclusionProof"]
    return {
        "24296fb24b8ad77a" + "0" * 64: {
            "body": entry["canonicalizedBody"],
            "integratedTime": int(entry["integratedTime"]),
            "logID": base64.b64decode(entry["logId"]["keyId"]).hex(),
            "logIndex": int(entry["logIndex"]),
            "verification": {
                "inclusionProof": {
                    "checkpoint": proof["checkpoint"]["envelope"],
                    "hashes": [base64.b64decode(one).hex() for one in proof["hashes"]],
                    "logIndex": int(proof["logIndex"]),
                    "rootHash": base64.b64decode(proof["rootHash"]).hex(),
                    "treeSize": int(proof["treeSize"]),
                },
                "signedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
            },
        }
    }


def cosign_bundle(bundle: Value) -> Value:
    """Return cosign's own bundle: of a file's signature, or of an attestation, where the signature is the envelope."""
    entry = bundle["verificationMaterial"]["tlogEntries"][0]
    signed = (
        b64(json.dumps(bundle["dsseEnvelope"]).encode())
        if "dsseEnvelope" in bundle
        else bundle["messageSignature"]["signature"]
    )
    return {
        "base64Signature": signed,
        "cert": b64(pem_of(certificate_of(bundle))),
        "rekorBundle": {
            "SignedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
            "Payload": {
                "body": entry["canonicalizedBody"],
                "integratedTime": int(entry["integratedTime"]),
                "logIndex": int(entry["logIndex"]),
                "logID": base64.b64decode(entry["logId"]["keyId"]).hex(),
            },
        },
    }


@dataclass(frozen=True)
class Form:
    """A form of evidence: a good document, and which of its fields nobody signs and nothing reads."""

    name: str
    document: Value
    labels: frozenset[str] = frozenset()
    log_entry: Value | None = None


_ATTESTATION = INSTANCE.bundle(payload=statement())
_PUBLISHED = INSTANCE.bundle(payload=pypi_statement())
_FILE = INSTANCE.bundle()

FORMS = (
    Form("pep740", pep740(_PUBLISHED)),
    Form("provenance", pypi_provenance(_PUBLISHED), frozenset({"publisher"})),
    Form("npm", npm_answer(_ATTESTATION), frozenset({"predicateType", "keyid"})),
    Form("cosign-file", cosign_bundle(_FILE)),
    Form("cosign-attestation", cosign_bundle(_ATTESTATION)),
    Form("generator", generator_envelope(_ATTESTATION), frozenset({"keyid"}), rekor_answer(_ATTESTATION)),
    # A certificate between leaf and authority is a step that the pinned chain may not need.
    Form("witness", witness_envelope(_ATTESTATION), frozenset({"keyid", "intermediates"}), rekor_answer(_ATTESTATION)),
)
