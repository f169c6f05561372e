"""What a Sigstore bundle brings to be verified with: certificates, log entries, timestamps. Read here, not believed.

Everything in here comes from whoever made the bundle. Reading checks form and bounds only, so that the checks behind it
(`direct`) work on values of known type and size.

Source: sigstore/protobuf-specs v0.5.1, protos/sigstore_bundle.proto and sigstore_rekor.proto, in proto3 JSON, where an
optional message may be null and a number may be a string.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum

from policyd.attestation.dsse import read_base64
from policyd.errors import DocumentError

MAX_TIMESTAMPS = 8  # one an authority; keeps verification cheap
MAX_TIMESTAMP_BYTES = 64 * 1024  # with a chain of certificates some 5 KB
MAX_CERTIFICATES = 8
MAX_CERTIFICATE_BYTES = 32 * 1024  # one by Fulcio for a GitHub workflow has 1.8 KB
MAX_LOG_ENTRIES = 8
MAX_BODY_BYTES = 1024 * 1024  # an entry names a certificate and digests: the fullest kind has 10 KB
MAX_PROOF_HASHES = 64  # a log of 2^63 entries needs 63
MAX_CHECKPOINT_CHARACTERS = 16 * 1024
MAX_HASH_BYTES = 64
MAX_SHORT_TEXT = 64
_DIGITS = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_MAX_INT64 = 2**63 - 1


class BundleVersion(IntEnum):
    """The versions of the bundle format, in their order: what a later one promises, an earlier one may not."""

    V0_1 = 1
    V0_2 = 2
    V0_3 = 3

    def __str__(self) -> str:
        return f"v0.{self.value}"


#: Both spellings of v0.3 and those before. Anything else has no meaning yet.
VERSIONS = {
    "application/vnd.dev.sigstore.bundle+json;version=0.1": BundleVersion.V0_1,
    "application/vnd.dev.sigstore.bundle+json;version=0.2": BundleVersion.V0_2,
    "application/vnd.dev.sigstore.bundle+json;version=0.3": BundleVersion.V0_3,
    "application/vnd.dev.sigstore.bundle.v0.3+json": BundleVersion.V0_3,
}


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """The hashes that lead from an entry to the root that the checkpoint names."""

    log_index: int
    tree_size: int
    root: bytes
    hashes: tuple[bytes, ...]
    checkpoint: str


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An entry of a transparency log: what was logged, and the log's promise or proof that it was."""

    log_index: int
    log_id: bytes
    kind: str
    version: str
    integrated_time: int | None
    promise: bytes | None
    proof: InclusionProof | None
    body: bytes


@dataclass(frozen=True, slots=True)
class Material:
    """The verification material of a bundle. `certificates` are DER, the signer's first; none for a managed key."""

    key_hint: str = ""
    certificates: tuple[bytes, ...] = ()
    entries: tuple[LogEntry, ...] = ()
    timestamps: tuple[bytes, ...] = ()


def read_material(value: object, version: BundleVersion, *, where: str) -> Material:
    """Return the verification material in a parsed JSON value; `DocumentError` if it is malformed."""
    material = _object(value, "verificationMaterial", where)
    hint, certificates = _read_signer(material, version, where)
    entries = [
        read_log_entry(entry, f"{where}, log entry {number}")
        for number, entry in enumerate(_list(material.get("tlogEntries"), "tlogEntries", MAX_LOG_ENTRIES, where), 1)
    ]
    return Material(
        key_hint=hint,
        certificates=certificates,
        entries=tuple(entries),
        timestamps=read_timestamps(material, where=where),
    )


def read_timestamps(material: dict[str, object], *, where: str) -> tuple[bytes, ...]:
    """Return the RFC 3161 timestamps in verification material, in DER."""
    data = material.get("timestampVerificationData")
    if data is None:
        return ()
    listed = _list(
        _object(data, "timestampVerificationData", where).get("rfc3161Timestamps"),
        "rfc3161Timestamps",
        MAX_TIMESTAMPS,
        where,
    )
    return tuple(
        _bytes(
            _object(item, "the timestamp", where).get("signedTimestamp"),
            "the timestamp",
            MAX_TIMESTAMP_BYTES,
            f"{where}, timestamp {number}",
        )
        for number, item in enumerate(listed, 1)
    )


def _read_signer(material: dict[str, object], version: BundleVersion, where: str) -> tuple[str, tuple[bytes, ...]]:
    """Return the key hint and the certificates: a bundle names its signer in one way or, for a key, not at all."""
    given = [name for name in ("publicKey", "x509CertificateChain", "certificate") if material.get(name) is not None]
    if len(given) > 1:
        raise malformed(f"the signer is named more than once: {', '.join(given)}", where)
    if not given:
        return "", ()
    signer = _object(material[given[0]], f"verificationMaterial.{given[0]}", where)
    if given[0] == "publicKey":
        hint = signer.get("hint", "")
        if not isinstance(hint, str) or len(hint) > 4 * MAX_SHORT_TEXT:
            raise malformed("verificationMaterial.publicKey.hint is no short text", where)
        return hint, ()
    # A bundle that one tool reads as its version says and another doesn't would have two meanings.
    if (given[0] == "certificate") != (version is BundleVersion.V0_3):
        raise malformed(f"a bundle {version} does not name its signer with {given[0]}", where)
    listed = [signer]
    if given[0] == "x509CertificateChain":
        chain = _list(signer.get("certificates"), "x509CertificateChain.certificates", MAX_CERTIFICATES, where)
        listed = [_object(item, "the certificate", where) for item in chain]
    certificates = tuple(
        _bytes(item.get("rawBytes"), "the certificate", MAX_CERTIFICATE_BYTES, f"{where}, certificate {number}")
        for number, item in enumerate(listed, 1)
    )
    if not certificates:
        raise malformed("the certificate chain is empty", where)
    return "", certificates


def read_log_entry(value: object, where: str) -> LogEntry:
    """Return the log entry in a parsed JSON value; `DocumentError` if it is malformed."""
    entry = _object(value, "the log entry", where)
    kind_version = _object(entry.get("kindVersion"), "kindVersion", where)
    promise, proof = entry.get("inclusionPromise"), entry.get("inclusionProof")
    return LogEntry(
        log_index=_integer(entry.get("logIndex", 0), "logIndex", where),
        log_id=_bytes(_object(entry.get("logId"), "logId", where).get("keyId"), "logId.keyId", MAX_HASH_BYTES, where),
        kind=_text(kind_version.get("kind"), "kindVersion.kind", MAX_SHORT_TEXT, where),
        version=_text(kind_version.get("version"), "kindVersion.version", MAX_SHORT_TEXT, where),
        integrated_time=_integer(entry.get("integratedTime", 0), "integratedTime", where) or None,
        promise=None
        if promise is None
        else _bytes(
            _object(promise, "inclusionPromise", where).get("signedEntryTimestamp"),
            "inclusionPromise.signedEntryTimestamp",
            MAX_TIMESTAMP_BYTES,
            where,
        ),
        proof=None if proof is None else _read_proof(proof, where),
        body=_bytes(entry.get("canonicalizedBody"), "canonicalizedBody", MAX_BODY_BYTES, where),
    )


def _read_proof(value: object, where: str) -> InclusionProof:
    proof = _object(value, "inclusionProof", where)
    hashes = _list(proof.get("hashes"), "inclusionProof.hashes", MAX_PROOF_HASHES, where)
    checkpoint = _object(proof.get("checkpoint"), "inclusionProof.checkpoint", where)
    return InclusionProof(
        log_index=_integer(proof.get("logIndex", 0), "inclusionProof.logIndex", where),
        tree_size=_integer(proof.get("treeSize"), "inclusionProof.treeSize", where),
        root=_bytes(proof.get("rootHash"), "inclusionProof.rootHash", MAX_HASH_BYTES, where),
        hashes=tuple(_bytes(item, "a hash of inclusionProof", MAX_HASH_BYTES, where) for item in hashes),
        checkpoint=_text(
            checkpoint.get("envelope"), "inclusionProof.checkpoint.envelope", MAX_CHECKPOINT_CHARACTERS, where
        ),
    )


def _object(value: object, name: str, where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise malformed(f"{name} is missing or no JSON object", where)
    return value


def _list(value: object, name: str, most: int, where: str) -> list[object]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > most:
        raise malformed(f"{name} is no list of at most {most} items", where)
    return value


def _text(value: object, name: str, most: int, where: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= most:
        raise malformed(f"{name} is no text of 1 to {most} characters", where)
    return value


def _bytes(value: object, name: str, most: int, where: str) -> bytes:
    content = read_base64(value, where=f"{where}, {name}")
    if not 0 < len(content) <= most:
        raise malformed(f"{name} does not have 1 to {most} bytes", where)
    return content


def _integer(value: object, name: str, where: str) -> int:
    """Return an int64 that counts something: proto3 JSON writes it as a string, and reads a number too."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_INT64:
        raise malformed(f"{name} is no whole number from 0 to 2^63 - 1", where)
    return value


def malformed(cause: str, where: str) -> DocumentError:
    """Return the error for a bundle whose form is wrong."""
    return DocumentError(cause, where=where, fix="give a Sigstore bundle as its signer wrote it")
