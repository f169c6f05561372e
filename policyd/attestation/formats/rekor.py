"""Entries of Rekor v1 as its API gives them, and as cosign keeps them: for signatures that came without their entry.

Source: sigstore/rekor openapi.yaml, definition LogEntry; sigstore/cosign pkg/cosign/bundle/rekor.go.
"""

from __future__ import annotations

from policyd.attestation.dsse import read_base64
from policyd.attestation.formats.parts import encoded, read_hex, require_list, require_object, require_text
from policyd.attestation.material import MAX_BODY_BYTES, MAX_PROOF_HASHES, LogEntry, malformed, read_log_entry
from policyd.models.strict_json import read_json

MAX_ENTRY_BYTES = 8 * 1024 * 1024  # with the attestation that a log may keep beside the entry
_MAX_DEPTH = 16
_MAX_PARTS = 20_000


def read_rekor_entry(content: bytes, *, where: str) -> LogEntry:
    """Return the one entry in an answer of `GET /api/v1/log/entries`; `DocumentError` for anything else."""
    value = read_json(content, where=where, max_bytes=MAX_ENTRY_BYTES, max_depth=_MAX_DEPTH, max_parts=_MAX_PARTS)
    answer = require_object(value, "the answer of the log", where)
    if len(answer) != 1:
        raise malformed(f"the answer of the log holds {len(answer)} entries, not one", where)
    (named,) = answer.values()
    entry = require_object(named, "the log entry", where)
    verification = require_object(entry.get("verification"), "verification", where)
    proof = require_object(verification.get("inclusionProof"), "inclusionProof", where)
    hashes = proof.get("hashes")
    written = log_entry_to_json(entry, verification.get("signedEntryTimestamp"), where)
    written["inclusionProof"] = {
        "logIndex": proof.get("logIndex"),
        "treeSize": proof.get("treeSize"),
        "rootHash": encoded(read_hex(proof.get("rootHash"), "rootHash", where)),
        "hashes": []
        if hashes == []
        else [
            encoded(read_hex(one, "a hash of inclusionProof", where))
            for one in require_list(hashes, "inclusionProof.hashes", MAX_PROOF_HASHES, where)
        ],
        "checkpoint": {"envelope": proof.get("checkpoint")},
    }
    return read_log_entry(written, where)


def log_entry_to_json(entry: dict[str, object], promise: object, where: str) -> dict[str, object]:
    """Return an entry as bundles have it, without proof. Kind and version are those that its body names."""
    body = entry.get("body")
    content = read_base64(body, where=f"{where}, body")
    named = require_object(
        read_json(
            content,
            where=f"{where}, body",
            max_bytes=MAX_BODY_BYTES,
            max_depth=_MAX_DEPTH,
            max_parts=_MAX_PARTS,
        ),
        "the entry's body",
        where,
    )
    return {
        "logIndex": entry.get("logIndex"),
        "logId": {"keyId": encoded(read_hex(entry.get("logID"), "logID", where))},
        "kindVersion": {
            "kind": require_text(named.get("kind"), "the entry's kind", where),
            "version": require_text(named.get("apiVersion"), "the entry's apiVersion", where),
        },
        "integratedTime": entry.get("integratedTime"),
        "inclusionPromise": {"signedEntryTimestamp": promise},
        "canonicalizedBody": body,
    }
