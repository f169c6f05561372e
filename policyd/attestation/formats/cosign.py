"""cosign's forms from before Sigstore bundles: one JSON document, or signature and certificate in files of their own.

The document (`cosign sign-blob --bundle` up to v2, still there as `--new-bundle-format=false`) holds a signature, the
certificate and the log's promise, and no inclusion proof: as much as a Sigstore bundle v0.1 may promise. Of
`attest-blob` the signature is a whole DSSE envelope.

Source: sigstore/cosign pkg/cosign/fetch.go (LocalSignedPayload), pkg/cosign/bundle/rekor.go, cmd/cosign/cli/sign and
attest.
"""

from __future__ import annotations

from policyd.attestation.bundle import Bundle, MessageSignature
from policyd.attestation.dsse import (
    MAX_ENVELOPE_BYTES,
    MAX_ENVELOPE_DEPTH,
    MAX_ENVELOPE_PARTS,
    MAX_SIGNATURE_BYTES,
    Envelope,
    envelope_from_json,
    read_base64,
)
from policyd.attestation.formats.parts import read_encoded_pem, read_pem, require_object
from policyd.attestation.formats.rekor import log_entry_to_json
from policyd.attestation.material import BundleVersion, LogEntry, Material, malformed, read_log_entry
from policyd.models.strict_json import read_json

MAX_SIGNATURE_FILE_BYTES = 8 * 1024
MAX_CERTIFICATE_FILE_BYTES = 64 * 1024


def read_cosign_bundle(value: dict[str, object], *, where: str) -> Bundle:
    """Return the bundle that a document with `base64Signature` is."""
    content = _read_content(read_base64(value.get("base64Signature"), where=f"{where}, base64Signature"), where)
    certificates = read_encoded_pem(value["cert"], "cert", where) if value.get("cert") else ()
    if len(certificates) > 1:
        raise malformed("cert holds more than one certificate", where)
    logged = value.get("rekorBundle")
    entries: tuple[LogEntry, ...] = ()
    if logged is not None:
        document = require_object(logged, "rekorBundle", where)
        payload = require_object(document.get("Payload"), "rekorBundle.Payload", where)
        entries = (read_log_entry(log_entry_to_json(payload, document.get("SignedEntryTimestamp"), where), where),)
    return Bundle(
        content, Material(certificates=certificates, entries=entries), BundleVersion.V0_1, form="cosign's bundle"
    )


def read_detached(signature: bytes, certificate: bytes | None, *, where: str, certificate_where: str) -> Bundle:
    """Return the bundle that a file with a signature is (base64, or the bytes), with its certificate if there is one.

    `certificate` is PEM, or base64 of it, as `cosign --output-certificate` writes it.
    """
    certificates: tuple[bytes, ...] = ()
    if certificate is not None:
        certificates = _read_certificate_file(certificate, certificate_where)
        if not certificates:
            raise malformed("the file holds no certificate", certificate_where)
    material = Material(certificates=certificates)
    return Bundle(_detached(_read_signature_file(signature, where), where), material, form="a signature in a file")


def _read_content(content: bytes, where: str) -> MessageSignature | Envelope:
    if not content.startswith(b"{"):
        return _detached(content, where)
    value = read_json(
        content,
        where=where,
        max_bytes=MAX_ENVELOPE_BYTES,
        max_depth=MAX_ENVELOPE_DEPTH,
        max_parts=MAX_ENVELOPE_PARTS,
    )
    envelope = envelope_from_json(value, where=where)
    if len(envelope.signatures) != 1:
        raise malformed("the envelope must have exactly one signature", where)
    return envelope


def _detached(signature: bytes, where: str) -> MessageSignature:
    if not 0 < len(signature) <= MAX_SIGNATURE_BYTES:
        raise malformed("the signature has the wrong length", where)
    return MessageSignature(digest=b"", signature=signature, detached=True)


def _read_signature_file(content: bytes, where: str) -> bytes:
    """Return the signature: text is base64, everything else is the signature itself."""
    if len(content) > MAX_SIGNATURE_FILE_BYTES:
        raise malformed("the file is too large for a signature", where)
    try:
        text = content.decode("ascii")
    except UnicodeDecodeError:
        return content
    return read_base64(text.removesuffix("\n").removesuffix("\r"), where=where)


def _read_certificate_file(content: bytes, where: str) -> tuple[bytes, ...]:
    if len(content) > MAX_CERTIFICATE_FILE_BYTES:
        raise malformed("the file is too large for a certificate", where)
    try:
        text = content.decode("ascii")
    except UnicodeDecodeError as error:
        raise malformed("the file holds no PEM", where) from error
    if text.startswith("-----BEGIN"):
        return read_pem(text, where=where)
    return read_encoded_pem(text.removesuffix("\n"), "certificate", where)
