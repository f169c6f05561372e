"""What a log entry says was signed, and by whom: it must be this bundle's content and no other's.

Without this check the log entry of one signature could vouch for another one made later, with a key that had leaked
after its certificate expired (CVE-2022-36056).

Each kind of entry is one function, which says how the entry differs, or None. Rekor writes bodies in canonical JSON;
they are read strictly, and only fields that bind something are looked at.

Source: sigstore/rekor pkg/types/{hashedrekord,dsse,intoto}, *_schema.json; rekor-tiles api/proto/rekor/v2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from policyd.attestation.dsse import Envelope, read_base64
from policyd.attestation.keys import DigestName
from policyd.attestation.material import MAX_BODY_BYTES, LogEntry
from policyd.errors import DocumentError, VerificationFailed
from policyd.models.strict_json import read_json

_MAX_DEPTH = 16
_MAX_PARTS = 1_000  # the fullest kind has 100
_V2_DIGESTS: dict[str, DigestName] = {"SHA2_256": "sha256", "SHA2_384": "sha384", "SHA2_512": "sha512"}
_V1_DIGESTS: frozenset[DigestName] = frozenset(("sha256", "sha384", "sha512"))


@dataclass(frozen=True, slots=True)
class Logged:
    """What an entry has to be of: the one signature, its signer, and what was signed.

    `signer` is the DER of the certificate, or of the public key. `signed` gives the digests of what was signed: of the
    file, or of the pre-authentication encoding of an envelope.
    """

    signature: bytes
    signer: bytes
    envelope: Envelope | None
    signed: Mapping[DigestName, bytes]


def verify_entry_body(entry: LogEntry, logged: Logged, *, where: str) -> str | None:
    """Return what an entry of its kind does not bind, in words, or None where it binds all.

    Raises `VerificationFailed` if the entry is of something else than `logged`, or of a kind that is not known.
    """
    # 1. A body of the kind that the bundle says, strictly read.
    try:
        read = read_json(entry.body, where=where, max_bytes=MAX_BODY_BYTES, max_depth=_MAX_DEPTH, max_parts=_MAX_PARTS)
        body = _object(read)
        kind = (body.get("kind"), body.get("apiVersion"))
        if kind != (entry.kind, entry.version):
            raise _refused(f"the bundle names an entry {entry.kind} {entry.version}, and it is another kind", where)
        check = _CHECKS.get((entry.kind, entry.version))
        if check is None:
            raise _refused(f"log entries of the kind {entry.kind[:64]!r} {entry.version[:64]!r} are not known", where)

        # 2. Its signature, signer and content.
        difference = check(_object(body.get("spec")), logged, where)
    except DocumentError as error:
        raise _refused(f"the log entry's body can't be read: {error.cause}", where) from error
    if difference is not None:
        raise _refused(f"the log entry is of another bundle: {difference}", where)
    return _UNBOUND.get((entry.kind, entry.version))


def _hashedrekord_v1(spec: dict[str, object], logged: Logged, where: str) -> str | None:
    digest = _object(_object(spec.get("data")).get("hash"))
    signature = _object(spec.get("signature"))
    if read_base64(signature.get("content"), where=where) != logged.signature:
        return "its signature is another"
    if not _is_signer(_object(signature.get("publicKey")).get("content"), logged, where):
        return "its signer is another"
    if not _is_v1_digest(digest, logged.signed):
        return "what it says was signed is another file"
    return None


def _hashedrekord_v2(spec: dict[str, object], logged: Logged, where: str) -> str | None:
    record = _object(spec.get("hashedRekordV002"))
    if (difference := _v2_signature(_object(record.get("signature")), logged, where)) is not None:
        return difference
    if not _is_v2_digest(_object(record.get("data")), logged.signed, where):
        return "what it says was signed is something else"
    return None


def _dsse_v1(spec: dict[str, object], logged: Logged, where: str) -> str | None:
    signatures = _list(spec.get("signatures"))
    if len(signatures) != 1:
        return f"it has {len(signatures)} signatures"
    signature = _object(signatures[0])
    if read_base64(signature.get("signature"), where=where) != logged.signature:
        return "its signature is another"
    return _v1_signer_and_payload(signature.get("verifier"), spec.get("payloadHash"), logged, where)


def _dsse_v2(spec: dict[str, object], logged: Logged, where: str) -> str | None:
    if logged.envelope is None:
        return "it is of an attestation"
    record = _object(spec.get("dsseV002"))
    signatures = _list(record.get("signatures"))
    if len(signatures) != 1:
        return f"it has {len(signatures)} signatures"
    if (difference := _v2_signature(_object(signatures[0]), logged, where)) is not None:
        return difference
    if not _is_v2_digest(_object(record.get("payloadHash")), _payload_digests(logged.envelope), where):
        return "its payload is another"
    return None


def _intoto_v1(spec: dict[str, object], logged: Logged, where: str) -> str | None:
    payload_hash = _object(spec.get("content")).get("payloadHash")
    return _v1_signer_and_payload(spec.get("publicKey"), payload_hash, logged, where)


def _intoto_v2(spec: dict[str, object], logged: Logged, where: str) -> str | None:
    if logged.envelope is None:
        return "it is of an attestation"
    content = _object(spec.get("content"))
    envelope = _object(content.get("envelope"))
    signatures = _list(envelope.get("signatures"))
    if len(signatures) != 1:
        return f"it has {len(signatures)} signatures"
    if envelope.get("payloadType") != logged.envelope.payload_type:
        return "its payload type is another"
    signature = _object(signatures[0])
    # Rekor encodes the signature twice here.
    once = read_base64(signature.get("sig"), where=where)
    if read_base64(once.decode("ascii", "replace"), where=where) != logged.signature:
        return "its signature is another"
    return _v1_signer_and_payload(signature.get("publicKey"), content.get("payloadHash"), logged, where)


_CHECKS: dict[tuple[str, str], Callable[[dict[str, object], Logged, str], str | None]] = {
    ("hashedrekord", "0.0.1"): _hashedrekord_v1,
    ("hashedrekord", "0.0.2"): _hashedrekord_v2,
    ("dsse", "0.0.1"): _dsse_v1,
    ("dsse", "0.0.2"): _dsse_v2,
    ("intoto", "0.0.1"): _intoto_v1,
    ("intoto", "0.0.2"): _intoto_v2,
}
_UNBOUND = {
    ("intoto", "0.0.1"): "entries of this kind name signer and payload, and not the signature itself",
}


def _v1_signer_and_payload(signer: object, payload_hash: object, logged: Logged, where: str) -> str | None:
    if logged.envelope is None:
        return "it is of an attestation"
    if not _is_signer(signer, logged, where):
        return "its signer is another"
    if not _is_v1_digest(_object(payload_hash), _payload_digests(logged.envelope)):
        return "its payload is another"
    return None


def _v2_signature(signature: dict[str, object], logged: Logged, where: str) -> str | None:
    if read_base64(signature.get("content"), where=where) != logged.signature:
        return "its signature is another"
    verifier = _object(signature.get("verifier"))
    if ("x509Certificate" in verifier) == ("publicKey" in verifier):
        return "its signer is named in no way, or in two"
    name = "x509Certificate" if "x509Certificate" in verifier else "publicKey"
    if read_base64(_object(verifier[name]).get("rawBytes"), where=where) != logged.signer:
        return "its signer is another"
    return None


def _is_signer(pem: object, logged: Logged, where: str) -> bool:
    """Say whether base64 of a certificate or public key in PEM is the signer's."""
    text = read_base64(pem, where=where).decode("ascii", "replace")
    lines = [line for line in text.replace("\r\n", "\n").split("\n") if line]
    if len(lines) < 3 or (lines[0], lines[-1]) not in _PEM_LINES:
        return False
    # One block and nothing beside it: which of several blocks is meant, tools could answer in several ways.
    return read_base64("".join(lines[1:-1]), where=where) == logged.signer


_PEM_LINES = {(f"-----BEGIN {label}-----", f"-----END {label}-----") for label in ("CERTIFICATE", "PUBLIC KEY")}


def _is_v1_digest(digest: dict[str, object], expected: Mapping[DigestName, bytes]) -> bool:
    algorithm, value = digest.get("algorithm"), digest.get("value")
    return any(
        algorithm == name and isinstance(value, str) and name in expected and value == expected[name].hex()
        for name in _V1_DIGESTS
    )


def _is_v2_digest(digest: dict[str, object], expected: Mapping[DigestName, bytes], where: str) -> bool:
    algorithm = digest.get("algorithm")
    name = _V2_DIGESTS.get(algorithm) if isinstance(algorithm, str) else None
    if name is None or name not in expected:
        return False
    return read_base64(digest.get("digest"), where=where) == expected[name]


def _payload_digests(envelope: Envelope) -> Mapping[DigestName, bytes]:
    return {"sha256": hashlib.sha256(envelope.payload).digest()}


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise DocumentError("a part is missing or no JSON object", where="log entry", fix="get the bundle again")
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise DocumentError("a part is missing or no list", where="log entry", fix="get the bundle again")
    return value


def _refused(cause: str, where: str) -> VerificationFailed:
    return VerificationFailed(cause, where=where, fix="get the bundle again from its signer, with its own log entry")
