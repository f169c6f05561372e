"""Write tests/vectors/verify: envelopes, trust policies and the verdict each has to get.

A folder whose name ends in `_fail` must be refused with the class named in its file `error`; every other one verifies.
Keys are derived from their names and signatures are deterministic, so running this again writes the same bytes:
`python -m tests.vectors.make_vectors`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from policyd.attestation.dsse import pae

FOLDER = Path(__file__).parent / "verify"
NOW = "2026-05-01T12:00:00Z"
INTOTO = "application/vnd.in-toto+json"
TYPE = "https://example.com/approval/v1"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
CURVES = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "secp256k1": ec.SECP256K1()}


@dataclass(frozen=True)
class Key:
    """A key whose secret is its name."""

    name: str
    kind: str = "p256"

    @property
    def _secret(self) -> bytes:
        return hashlib.sha256(f"policyd test key {self.name}".encode()).digest()

    def _ec(self) -> ec.EllipticCurvePrivateKey:
        return ec.derive_private_key(int.from_bytes(self._secret, "big") >> 1, CURVES[self.kind])

    def sign(self, message: bytes) -> bytes:
        if self.kind == "ed25519":
            return ed25519.Ed25519PrivateKey.from_private_bytes(self._secret).sign(message)
        digest = hashes.SHA384() if self.kind == "p384" else hashes.SHA256()
        return self._ec().sign(message, ec.ECDSA(digest, deterministic_signing=True))

    @cache  # noqa: B019  # a handful of keys in a script
    def pem(self) -> str:
        key = (
            ed25519.Ed25519PrivateKey.from_private_bytes(self._secret).public_key()
            if self.kind == "ed25519"
            else self._ec().public_key()
        )
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


ALICE, ALICE_LAPTOP, BOB, MALLORY = Key("alice"), Key("alice laptop"), Key("bob"), Key("mallory")
BUILDER = Key("builder")


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def statement(**changes: object) -> dict[str, object]:
    value: dict[str, object] = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "a.tar.gz", "digest": {"sha256": hashlib.sha256(b"a").hexdigest()}}],
        "predicateType": TYPE,
        "predicate": {"reason": "looked at it"},
    }
    return value | changes


def envelope(
    *keys: Key, payload: bytes | None = None, kind: str = INTOTO, keyids: Sequence[str] = ()
) -> dict[str, object]:
    content = json.dumps(statement()).encode() if payload is None else payload
    signatures = [{"sig": b64(key.sign(pae(kind, content)))} for key in keys]
    for signature, keyid in zip(signatures, keyids, strict=False):
        signature["keyid"] = keyid
    return {"payload": b64(content), "payloadType": kind, "signatures": signatures}


def bundle(content: Mapping[str, object], **changes: object) -> dict[str, object]:
    return {
        "mediaType": BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": "c29tZSBrZXk="}},
        "dsseEnvelope": content,
    } | changes


def entry(key: Key, person: str, **window: str) -> dict[str, str]:
    return {"public_key": key.pem(), "person": person} | window


def trust(*approvers: Mapping[str, str], threshold: int = 1, **changes: object) -> dict[str, object]:
    return {
        "policyd": "trust/v1",
        "name": "vectors",
        "version": 1,
        "roles": {
            "approver": {
                "keys": list(approvers or [entry(ALICE, "alice@example.com")]),
                "threshold": threshold,
                "predicate_types": [TYPE],
            },
            "builder": {
                "keys": [entry(BUILDER, "builder@example.com")],
                "predicate_types": ["https://slsa.dev/provenance/v1"],
            },
        },
        "builders": [],
        "policy_sets": [],
    } | changes


@dataclass(frozen=True)
class Case:
    """One folder: what it is about, what is verified for the role approver, and why it is refused ("" if not)."""

    about: str
    envelope: object
    trust: object
    error: str = ""


TWO = (entry(ALICE, "alice@example.com"), entry(BOB, "bob@example.com"))
HELLO = json.dumps(statement()).encode()
DSSE = "DSSE v1.0.2, protocol.md"


def cases() -> dict[str, Case]:
    """Return every case by the name of its folder."""
    payload = envelope(ALICE)
    url_safe = str(payload["payload"]).replace("+", "-").replace("/", "_")
    odd = json.dumps(statement(predicate={"text": "~~~???>>>"}), ensure_ascii=False).encode()
    odd_envelope = envelope(ALICE, payload=odd)
    standard = str(odd_envelope["payload"])
    doubled = HELLO[:-1] + b', "predicateType": "https://example.com/other"}'
    return {
        # --- who signed ---
        "one-signature": Case("One person, threshold one.", envelope(ALICE), trust()),
        "bundle": Case("The same in a Sigstore bundle v0.3.", bundle(envelope(ALICE)), trust()),
        "ed25519": Case(
            "An Ed25519 key.", envelope(Key("alice", "ed25519")), trust(entry(Key("alice", "ed25519"), "a"))
        ),
        "p384": Case(
            "A P-384 key signs with SHA-384.", envelope(Key("a", "p384")), trust(entry(Key("a", "p384"), "a"))
        ),
        "two-persons-threshold-two": Case(
            f"{DSSE}, Multi-signature Verification: t of n.", envelope(ALICE, BOB), trust(*TWO, threshold=2)
        ),
        "one-person-threshold-two_fail": Case(
            "One of two.", envelope(ALICE), trust(*TWO, threshold=2), "ThresholdNotMet"
        ),
        "one-key-under-two-ids_fail": Case(
            "One key signs twice under two key ids: counted once (docs/threats.md, T10).",
            envelope(ALICE, ALICE, keyids=["alice", "bob"]),
            trust(*TWO, threshold=2),
            "ThresholdNotMet",
        ),
        "two-keys-of-one-person_fail": Case(
            "Two keys, one person: a threshold counts persons.",
            envelope(ALICE, ALICE_LAPTOP),
            trust(entry(ALICE, "alice@example.com"), entry(ALICE_LAPTOP, "alice@example.com"), threshold=2),
            "ThresholdNotMet",
        ),
        "second-signature-invalid_fail": Case(
            "Bob's signature is of something else.",
            envelope(ALICE)
            | {"signatures": [{"sig": b64(ALICE.sign(pae(INTOTO, HELLO)))}, {"sig": b64(BOB.sign(b"else"))}]},
            trust(*TWO, threshold=2),
            "ThresholdNotMet",
        ),
        "misleading-keyid": Case(
            f"{DSSE}: KEYID must not be used for security decisions. Alice's signature under Bob's name.",
            envelope(ALICE, keyids=["bob"]),
            trust(*TWO),
        ),
        "unknown-key_fail": Case("Nobody we know.", envelope(MALLORY), trust(), "SignatureInvalid"),
        "unknown-key-with-known-keyid_fail": Case(
            "The key id is chosen by the attacker (T9).",
            envelope(MALLORY, keyids=["alice"]),
            trust(),
            "SignatureInvalid",
        ),
        "wrong-role_fail": Case("The builder is no approver.", envelope(BUILDER), trust(), "IdentityNotTrusted"),
        "wrong-predicate-type_fail": Case(
            "An approver can't sign provenance.",
            envelope(ALICE, payload=json.dumps(statement(predicateType="https://slsa.dev/provenance/v1")).encode()),
            trust(),
            "IdentityNotTrusted",
        ),
        "role-not-listed_fail": Case(
            "The trust policy names nobody for the role: refuse.",
            envelope(ALICE),
            trust(roles={}),
            "IdentityNotTrusted",
        ),
        # --- when ---
        "valid-window": Case(
            "Inside the window.",
            envelope(ALICE),
            trust(entry(ALICE, "a", valid_from="2026-05-01T12:00:00Z", valid_until="2026-05-01T12:00:01Z")),
        ),
        "expired-key_fail": Case(
            "The window ends at the moment it names.",
            envelope(ALICE),
            trust(entry(ALICE, "a", valid_until=NOW)),
            "IdentityNotTrusted",
        ),
        "key-not-yet-valid_fail": Case(
            "Before the window.",
            envelope(ALICE),
            trust(entry(ALICE, "a", valid_from="2026-05-01T12:00:01Z")),
            "IdentityNotTrusted",
        ),
        "revoked-key_fail": Case(
            "A revoked key's older signatures carry no date that could be believed.",
            envelope(ALICE),
            trust(entry(ALICE, "a", revoked_at="2026-05-01T11:59:59Z")),
            "IdentityNotTrusted",
        ),
        "revoked-key-does-not-count_fail": Case(
            "One of two is revoked.",
            envelope(ALICE, BOB),
            trust(
                entry(ALICE, "alice@example.com"),
                entry(BOB, "bob@example.com", revoked_at="2026-01-01T00:00:00Z"),
                threshold=2,
            ),
            "ThresholdNotMet",
        ),
        "expired-trust-policy_fail": Case(
            "The trust policy itself ran out.", envelope(ALICE), trust(expires_at=NOW), "SettingsError"
        ),
        # --- the trust policy ---
        "key-with-two-roles_fail": Case(
            "No key has two roles.", envelope(BUILDER), trust(entry(BUILDER, "alice@example.com")), "SettingsError"
        ),
        "key-listed-for-two-persons_fail": Case(
            "One key can't be two persons.",
            envelope(ALICE),
            trust(entry(ALICE, "alice@example.com"), entry(ALICE, "bob@example.com"), threshold=2),
            "SettingsError",
        ),
        "secp256k1-key_fail": Case(
            "Algorithms come from our list.",
            envelope(Key("alice", "secp256k1")),
            trust(entry(Key("alice", "secp256k1"), "a")),
            "SettingsError",
        ),
        # --- what was signed ---
        "payload-changed_fail": Case(
            "Another payload under the same signature.",
            envelope(ALICE) | {"payload": b64(HELLO.replace(b"looked", b"l00ked"))},
            trust(),
            "SignatureInvalid",
        ),
        "payload-type-changed_fail": Case(
            "Another type under the same signature.",
            envelope(ALICE) | {"payloadType": "text/plain"},
            trust(),
            "VerificationFailed",
        ),
        "payload-type-signed_fail": Case(
            "A type that is not in-toto, properly signed.",
            envelope(ALICE, kind="application/json"),
            trust(),
            "VerificationFailed",
        ),
        "signed-without-pae_fail": Case(
            "The payload alone was signed, without its type.",
            envelope(ALICE) | {"signatures": [{"sig": b64(ALICE.sign(HELLO))}]},
            trust(),
            "SignatureInvalid",
        ),
        "statement-v0.1": Case(
            "The older statement is read.",
            envelope(ALICE, payload=json.dumps(statement(_type="https://in-toto.io/Statement/v0.1")).encode()),
            trust(),
        ),
        "statement-v2_fail": Case(
            "A version nobody defined.",
            envelope(ALICE, payload=json.dumps(statement(_type="https://in-toto.io/Statement/v2")).encode()),
            trust(),
            "VerificationFailed",
        ),
        "unknown-fields": Case(
            "in-toto, parsing rules: unknown fields are ignored.",
            envelope(ALICE, payload=json.dumps(statement(more={"a": 1})).encode()) | {"more": 1},
            trust(),
        ),
        "no-subject_fail": Case(
            "A statement about nothing.",
            envelope(ALICE, payload=json.dumps(statement(subject=[])).encode()),
            trust(),
            "SubjectMismatch",
        ),
        "subject-with-git-commit-only_fail": Case(
            "in-toto attestation, spec/predicates/test-result.md, Example: its subject has no SHA-256 (T26).",
            envelope(
                ALICE,
                payload=json.dumps(
                    statement(subject=[{"digest": {"gitCommit": "d20ace7968ba43c0219f62d71334c1095bab1602"}}])
                ).encode(),
            ),
            trust(),
            "SubjectMismatch",
        ),
        "subject-without-sha256-among-others_fail": Case(
            "One subject of two is named by SHA-1 alone.",
            envelope(
                ALICE,
                payload=json.dumps(
                    statement(subject=[{"digest": {"sha256": "0" * 64}}, {"digest": {"sha1": "0" * 40}}])
                ).encode(),
            ),
            trust(),
            "SubjectMismatch",
        ),
        "no-json_fail": Case(
            "Signed bytes that are no JSON.", envelope(ALICE, payload=b"hello world"), trust(), "VerificationFailed"
        ),
        "duplicate-key-in-payload_fail": Case(
            "Two parsers may read two predicate types (T5).",
            envelope(ALICE, payload=doubled),
            trust(),
            "VerificationFailed",
        ),
        # --- the envelope's form ---
        "url-safe-base64": Case(
            f"{DSSE}: either alphabet.",
            odd_envelope | {"payload": standard.replace("+", "-").replace("/", "_")},
            trust(),
        ),
        "base64-with-a-newline_fail": Case(
            "Lenient readers drop it.",
            payload | {"payload": url_safe[:8] + "\n" + url_safe[8:]},
            trust(),
            "DocumentError",
        ),
        "base64-without-padding_fail": Case(
            "One value, one text.", payload | {"payload": b64(HELLO + b" ").rstrip("=")}, trust(), "DocumentError"
        ),
        "no-signature_fail": Case("Signed by nobody.", payload | {"signatures": []}, trust(), "DocumentError"),
        "seventeen-signatures_fail": Case(
            "More than anybody needs.", envelope(*[ALICE] * 17), trust(), "DocumentError"
        ),
        "bundle-v0.1_fail": Case(
            "An older bundle promises less (T11).",
            bundle(payload, mediaType="application/vnd.dev.sigstore.bundle+json;version=0.1"),
            trust(),
            "DocumentError",
        ),
        "bundle-with-two-signatures_fail": Case(
            "A Sigstore bundle has one.", bundle(envelope(ALICE, BOB)), trust(*TWO), "DocumentError"
        ),
        "bundle-with-two-contents_fail": Case(
            "One tool reads the attestation, the next the signature.",
            bundle(payload, messageSignature={}),
            trust(),
            "DocumentError",
        ),
        "bundle-of-a-file_fail": Case(
            "The signature of a file is no attestation.",
            {
                "mediaType": BUNDLE,
                "verificationMaterial": {"publicKey": {"hint": ""}},
                "messageSignature": {
                    "messageDigest": {"algorithm": "SHA2_256", "digest": b64(hashlib.sha256(HELLO).digest())},
                    "signature": b64(ALICE.sign(HELLO)),
                },
            },
            trust(),
            "DocumentError",
        ),
    }


def files() -> dict[str, bytes]:
    """Return every file of `verify/` by its path there."""
    made: dict[str, bytes] = {}
    for name, case in cases().items():
        assert name.endswith("_fail") == bool(case.error)
        made[f"{name}/README"] = f"{case.about}\n".encode()
        made[f"{name}/envelope.json"] = json.dumps(case.envelope, indent=1).encode() + b"\n"
        made[f"{name}/trust.json"] = json.dumps(case.trust, indent=1).encode() + b"\n"
        if case.error:
            made[f"{name}/error"] = f"{case.error}\n".encode()
    return made


def main() -> None:
    """Write the folders."""
    for path, content in files().items():
        target = FOLDER / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


if __name__ == "__main__":
    main()
