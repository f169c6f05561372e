"""A Sigstore instance that answers what a test wants: the parts in memory, behind HTTP, each of which may be hostile.

Left alone it is an honest instance, of Rekor's first or second generation. It believes every token.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.attestation.keyless.instance import Certificates, Instance, LeafOptions, PrivateKey, TransparencyLog
from tests.sigstore import EMAIL, HOST, Answer, as_json, make_parts, make_token, serve, trust_config

ISSUER = "https://issuer.example.com"
Value = dict[str, Any]


@dataclass
class Stub:
    """What the instance answers. `asked` are the paths that were asked for, with what came along."""

    generation: int = 2
    identity: str = EMAIL
    issuer: str = ISSUER
    leaf: Callable[[LeafOptions], LeafOptions] = lambda options: options
    authority: Certificates | None = None  # in place of the pinned one
    leaf_key: PrivateKey | None = None  # in place of the key that asks
    log: TransparencyLog | None = None  # in place of the pinned one
    logged: Callable[[Value], Value] = lambda entry: entry
    stamped: Callable[[bytes], bytes] = lambda stamp: stamp
    stamped_at: timedelta = timedelta()
    fails: dict[str, Answer] = field(default_factory=dict)  # part → answer
    parts: Instance = field(default_factory=make_parts)
    asked: list[tuple[str, bytes]] = field(default_factory=list)
    url: str = ""
    stamping: bool = True

    def token(self, **claims: object) -> str:
        """Return a token that the instance believes, as it believes all."""
        return make_token(ISSUER, "email", **claims)

    def trust_config(self) -> Value:
        """Return the client trust config."""
        log = self.parts.log if self.generation == 1 else self.parts.log_v2
        log.host = HOST
        tsa = f"{self.url}/tsa" if self.stamping else None
        return trust_config(self.parts, fulcio=self.url, rekor=self.url, tsa=tsa, rekor_version=self.generation)

    def answer(self, path: str, body: bytes) -> Answer:
        """Answer one request."""
        self.asked.append((path, body))
        part = "fulcio" if "signingCert" in path else "tsa" if path == "/tsa" else "rekor"
        if part in self.fails:
            return self.fails[part]
        if part == "tsa":
            return 200, "application/timestamp-reply", self._stamp(body)
        value = json.loads(body)
        return as_json(self._certify(value)) if part == "fulcio" else as_json(self._log(value), 201)

    def _certify(self, asked: Value) -> Value:
        request = x509.load_pem_x509_csr(base64.b64decode(asked["certificateSigningRequest"]))
        now = datetime.now(UTC).replace(microsecond=0)
        options = LeafOptions(
            names=(x509.RFC822Name(self.identity),),
            issuer_v1=self.issuer.encode(),
            valid_from=now - timedelta(seconds=5),
            sct_at=now - timedelta(seconds=1),
        )
        authority = self.authority or self.parts.certificates
        key: Any = self.leaf_key or request  # of which only the public key is taken
        leaf = authority.issue(self.leaf(options), key)
        chain = [leaf, authority.intermediate, authority.root]
        certificates = [one.public_bytes(Encoding.PEM).decode() for one in chain]
        return {"signedCertificateEmbeddedSct": {"chain": {"certificates": certificates}}}

    def _log(self, asked: Value) -> Value:
        now = datetime.now(UTC)
        if self.generation == 2:
            request = asked["hashedRekordRequestV002"]
            spec = {
                "hashedRekordV002": {
                    "data": {"algorithm": "SHA2_256", "digest": request["digest"]},
                    "signature": request["signature"],
                }
            }
            kind, version, log = "hashedrekord", "0.0.2", self.log or self.parts.log_v2
        else:
            kind, version, log = asked["kind"], "0.0.1", self.log or self.parts.log
            spec = asked["spec"] if kind == "hashedrekord" else _logged_envelope(asked["spec"]["proposedContent"])
        body = json.dumps({"apiVersion": version, "kind": kind, "spec": spec}, separators=(",", ":"), sort_keys=True)
        entry = self.logged(log.add(body.encode(), now, kind, version))
        return entry if self.generation == 2 else {"1f": _as_v1(entry)}

    def _stamp(self, query: bytes) -> bytes:
        # The digest is the last but one thing in a query that is asked with a nonce, and has a length of its own.
        start = query.index(b"\x04\x20") + 2
        return self.stamped(
            self.parts.clock.stamp_digest(query[start : start + 32], datetime.now(UTC) + self.stamped_at)
        )


@contextmanager
def open_stub(stub: Stub) -> Iterator[Stub]:
    """Serve `stub` for the length of the block."""
    with ExitStack() as stack:
        stub.url = stack.enter_context(serve(lambda path, body: stub.answer(path, body)))
        yield stub


def _logged_envelope(proposed: Value) -> Value:
    envelope = json.loads(proposed["envelope"])
    payload = base64.b64decode(envelope["payload"])
    return {
        "envelopeHash": {"algorithm": "sha256", "value": hashlib.sha256(proposed["envelope"].encode()).hexdigest()},
        "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
        "signatures": [{"signature": envelope["signatures"][0]["sig"], "verifier": proposed["verifiers"][0]}],
    }


def _as_v1(entry: Value) -> Value:
    """Return an entry as Rekor's first API does."""

    def to_hex(text: str) -> str:
        return base64.b64decode(text).hex()

    proof = entry["inclusionProof"]
    return {
        "body": entry["canonicalizedBody"],
        "integratedTime": int(entry["integratedTime"]),
        "logID": to_hex(entry["logId"]["keyId"]),
        "logIndex": int(entry["logIndex"]),
        "verification": {
            "inclusionProof": {
                "checkpoint": proof["checkpoint"]["envelope"],
                "hashes": [to_hex(one) for one in proof["hashes"]],
                "logIndex": int(proof["logIndex"]),
                "rootHash": to_hex(proof["rootHash"]),
                "treeSize": int(proof["treeSize"]),
            },
            "signedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
        },
    }
