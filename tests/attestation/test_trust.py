"""Whose signature counts: vectors with a verdict, and what they can't show."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from policyd import errors
from policyd.attestation import trust as trust_module
from policyd.attestation.blobs import HashedFile, read_blob_signature, verify_blob
from policyd.attestation.dsse import Envelope, Signature, read_envelope
from policyd.attestation.statements import Named, render_statement, sign_statement
from policyd.attestation.trust import verify_bundle, verify_envelope, verify_with_key
from policyd.attestation.trust_policy import check_trust_policy, read_trust_policy
from policyd.errors import (
    DocumentError,
    IdentityNotTrusted,
    KeyUnusable,
    PolicydError,
    SettingsError,
    SignatureInvalid,
    SubjectMismatch,
    VerificationFailed,
)
from policyd.models.base import Model
from policyd.models.canonical import sha256_hex
from policyd.models.statement import DECISION_V1, PROVENANCE_V1
from policyd.models.trust import Role
from tests.attestation.made_run import NOW, ed25519_key, key, make_role, make_trust, sha256, trusted
from tests.vectors import make_vectors

VECTORS = sorted(path for path in make_vectors.FOLDER.iterdir() if path.is_dir())
COSIGN = Path(__file__).parent.parent / "vectors" / "cosign"


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case.name)
def test_a_vector_gets_the_verdict_in_its_name(case: Path) -> None:
    """A folder ending in _fail is refused with exactly the error it names; every other one verifies."""

    def verify() -> None:
        trust = read_trust_policy((case / "trust.json").read_bytes(), where="trust.json")
        now = datetime.fromisoformat(make_vectors.NOW)
        content = (case / "envelope.json").read_bytes()
        verified = verify_bundle(content, trust, role=Role.APPROVER, now=now, where=case.name)
        assert verified.signers
        assert verified.subject_sha256s()

    if not case.name.endswith("_fail"):
        verify()
        return
    with pytest.raises(PolicydError) as caught:
        verify()
    assert type(caught.value) is getattr(errors, (case / "error").read_text().strip())
    assert caught.value.cause
    assert caught.value.where
    assert caught.value.fix


def test_the_vectors_are_what_the_script_makes() -> None:
    there = {
        str(path.relative_to(make_vectors.FOLDER)): path.read_bytes()
        for path in make_vectors.FOLDER.rglob("*")
        if path.is_file()
    }

    assert there == make_vectors.files()


def test_verified_statements_are_made_in_one_place() -> None:
    """A function that asks for a `VerifiedStatement` relies on nobody else making one."""
    package = Path(trust_module.__file__).parent.parent

    makers = [path.name for path in package.rglob("*.py") if "VerifiedStatement(" in path.read_text()]

    assert makers == ["trust.py"]


def _statement(predicate_type: str = DECISION_V1) -> bytes:
    return render_statement([Named("a", sha256("a"))], predicate_type, {"b": "c"})


def test_the_verified_bytes_are_the_bytes_received() -> None:
    """White space and field order of whoever signed stay as they are."""
    payload = json.dumps(json.loads(_statement()), indent=3).encode()

    verified = verify_bundle(
        sign_statement(payload, key("decider")), make_trust(), role=Role.DECIDER, now=NOW, where="x"
    )

    assert verified.payload == payload
    assert verified.signers == {"decider@example.com"}
    assert verified.key_sha256s == {key("decider").key_sha256}


@pytest.mark.parametrize("role", list(Role))
def test_each_role_signs_only_for_itself(role: Role) -> None:
    bundle = sign_statement(_statement(), key("decider"))

    if role is Role.DECIDER:
        assert verify_bundle(bundle, make_trust(), role=role, now=NOW, where="x").role is role
    else:
        with pytest.raises(IdentityNotTrusted):
            verify_bundle(bundle, make_trust(), role=role, now=NOW, where="x")


def test_a_change_of_any_byte_of_a_bundle_verifies_the_same_statement_or_nothing() -> None:
    """What is not signed (the hint, white space) may change; what was signed may not."""
    bundle = sign_statement(_statement(), key("decider"))
    trust = make_trust()
    wanted = _statement()
    refused = 0

    for position in range(0, len(bundle), 3):
        for change in (1, 0x20, 0x80):
            changed = bytearray(bundle)
            changed[position] ^= change
            try:
                verified = verify_bundle(bytes(changed), trust, role=Role.DECIDER, now=NOW, where="x")
            except PolicydError:
                refused += 1
            else:
                assert verified.payload == wanted

    assert refused > len(bundle) // 2


def test_a_truncated_bundle_is_refused() -> None:
    bundle = sign_statement(_statement(), key("decider")).rstrip()

    for length in range(0, len(bundle), 7):
        with pytest.raises(PolicydError):
            verify_bundle(bundle[:length], make_trust(), role=Role.DECIDER, now=NOW, where="x")


def test_an_envelope_made_by_hand_without_signatures_is_refused() -> None:
    """The reader refuses it; the verifier must not need the reader."""
    envelope = Envelope(payload=_statement(), payload_type="application/vnd.in-toto+json", signatures=())

    with pytest.raises(SignatureInvalid):
        verify_envelope(envelope, make_trust(), role=Role.DECIDER, now=NOW, where="x")


def test_a_signature_of_another_algorithm_does_not_verify() -> None:
    envelope = Envelope(
        payload=_statement(),
        payload_type="application/vnd.in-toto+json",
        signatures=(Signature(ed25519_key("decider").sign(b"x")), Signature(b"\x00"), Signature(b"\xff" * 72)),
    )

    with pytest.raises(SignatureInvalid):
        verify_envelope(envelope, make_trust(), role=Role.DECIDER, now=NOW, where="x")


def test_the_predicate_type_is_looked_up_in_the_policy_of_the_role_asked_for() -> None:
    bundle = sign_statement(_statement(PROVENANCE_V1), key("decider"))

    with pytest.raises(IdentityNotTrusted, match="may not sign"):
        verify_bundle(bundle, make_trust(), role=Role.DECIDER, now=NOW, where="x")


def test_a_trust_policy_is_checked_again_where_it_is_used() -> None:
    """A model made without the reader gets no further."""
    trust = make_role(make_trust(), Role.APPROVER, keys=(trusted(key("decider"), "decider@example.com"),))

    with pytest.raises(SettingsError, match="two roles"):
        verify_bundle(sign_statement(_statement(), key("decider")), trust, role=Role.DECIDER, now=NOW, where="x")


def test_a_predicate_that_does_not_fit_its_model_is_refused() -> None:
    class Wanted(Model):
        other: str

    verified = verify_bundle(
        sign_statement(_statement(), key("decider")), make_trust(), role=Role.DECIDER, now=NOW, where="x"
    )

    with pytest.raises(VerificationFailed, match="malformed"):
        verified.read_predicate(Wanted, where="x")


# --- a key instead of a trust policy ---


def test_what_cosign_attests_verifies_with_its_key() -> None:
    content = (COSIGN / "attestation.sigstore.json").read_bytes()

    verified = verify_with_key(content, (COSIGN / "cosign.pub").read_text(), where="cosign")

    assert verified.subject_sha256s() == {sha256_hex((COSIGN / "artifact").read_bytes())}
    assert verified.statement.predicate_type == PROVENANCE_V1
    assert verified.role is None


def test_what_cosign_signs_verifies_with_its_key() -> None:
    content = (COSIGN / "signature.sigstore.json").read_bytes()
    artifact_sha256 = sha256_hex((COSIGN / "artifact").read_bytes())

    _verify_blob(content, (COSIGN / "cosign.pub").read_text(), artifact_sha256)


def _verify_blob(content: bytes, public_key: str, artifact_sha256: str) -> None:
    blob = read_blob_signature(content, public_key, where="x")
    verify_blob(blob, HashedFile({"sha256": bytes.fromhex(artifact_sha256)}), where="x")


def test_a_signature_of_another_file_or_key_is_refused() -> None:
    content = (COSIGN / "signature.sigstore.json").read_bytes()
    public_key = (COSIGN / "cosign.pub").read_text()
    artifact_sha256 = sha256_hex((COSIGN / "artifact").read_bytes())
    moved = json.loads(content)
    moved["messageSignature"]["messageDigest"]["digest"] = make_vectors.b64(bytes.fromhex(sha256("another")))

    with pytest.raises(SubjectMismatch):
        _verify_blob(content, public_key, sha256("another"))
    with pytest.raises(SignatureInvalid):
        _verify_blob(json.dumps(moved).encode(), public_key, sha256("another"))
    with pytest.raises(SignatureInvalid):
        _verify_blob(content, key("a").public_key_pem, artifact_sha256)
    with pytest.raises(KeyUnusable):
        _verify_blob(content, ed25519_key("a").public_key_pem, artifact_sha256)


def test_an_attestation_is_no_signature_of_a_file() -> None:
    with pytest.raises(DocumentError):
        _verify_blob(sign_statement(_statement(), key("a")), key("a").public_key_pem, sha256("a"))


def test_another_key_does_not_verify() -> None:
    with pytest.raises(SignatureInvalid):
        verify_with_key(sign_statement(_statement(), key("a")), key("b").public_key_pem, where="x")


def test_with_a_key_the_payload_type_still_counts() -> None:
    content = json.dumps(make_vectors.envelope(make_vectors.ALICE, kind="text/plain")).encode()

    with pytest.raises(VerificationFailed, match="payload type"):
        verify_with_key(content, make_vectors.ALICE.pem(), where="x")
    assert read_envelope(content, where="x").payload_type == "text/plain"


@pytest.mark.parametrize(
    "pem", ["", "junk", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "x" * 5000]
)
def test_what_is_no_public_key_is_refused(pem: str) -> None:
    with pytest.raises(KeyUnusable):
        verify_with_key(sign_statement(_statement(), key("a")), pem, where="x")


def test_a_private_key_is_no_public_key() -> None:
    private = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"

    with pytest.raises(KeyUnusable):
        verify_with_key(sign_statement(_statement(), key("a")), private, where="x")


def test_the_time_given_needs_a_time_zone_where_it_matters() -> None:
    trust = make_trust(expires_at=datetime(2027, 1, 1, tzinfo=UTC))

    with pytest.raises(TypeError):
        verify_bundle(
            sign_statement(_statement(), key("decider")),
            trust,
            role=Role.DECIDER,
            now=datetime(2026, 5, 1),
            where="x",
        )


def test_a_key_of_a_kind_that_is_not_allowed_makes_the_trust_policy_unusable() -> None:
    """Not only where it is read: a trust policy that reached the check in another way is refused too."""
    trust = make_trust(algorithms=("ed25519",))

    with pytest.raises(SettingsError, match="may sign with ed25519"):
        check_trust_policy(trust)
    with pytest.raises(SettingsError, match="may sign with ed25519"):
        verify_bundle(
            sign_statement(_statement(), key("decider")), trust, role=Role.DECIDER, now=NOW, where="decision.json"
        )
