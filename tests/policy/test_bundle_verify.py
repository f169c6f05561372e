"""A signed bundle and every way to make it say something that its authors did not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from policyd.attestation.bundle import read_attestation
from policyd.attestation.dsse import Envelope, Signature, envelope_to_json
from policyd.attestation.statements import Named, render_statement, sign_statement
from policyd.errors import (
    DocumentError,
    IdentityNotTrusted,
    PolicydError,
    PolicyError,
    SettingsError,
    SignatureInvalid,
    SubjectMismatch,
    ThresholdNotMet,
    VerificationFailed,
)
from policyd.models.canonical import canonical_json, sha256_hex
from policyd.models.statement import DECISION_V1, PAYLOAD_TYPE, POLICY_SET_V1
from policyd.models.trust import Role, TrustPolicy
from policyd.policy.bundle_archive import read_archive, write_archive
from policyd.policy.bundle_files import DATA, MANIFEST, SIGNATURES
from policyd.policy.bundle_verify import VerifiedBundle, verify_policy_bundle
from policyd.policy.policy_set import read_policy_set
from tests.attestation.made_run import NOW, key, trusted
from tests.policy.made_bundle import EXPIRES, FOLDER, attest, author_trust, signed_bundle, signed_files, unsigned_files

RULE = "naming/long_name/long_name.rego"
WEAKER = {**FOLDER, RULE: FOLDER[RULE].replace(b"default: 20", b"default: 9999")}


def verify(
    content: bytes, attestation: bytes, trust: TrustPolicy | None = None, *, now: datetime = NOW
) -> VerifiedBundle:
    return verify_policy_bundle(content, attestation, trust or author_trust(), now=now, where="ours.tar.gz")


def test_a_signed_bundle_verifies() -> None:
    verified = verify(*signed_bundle(version=4))

    assert (verified.predicate.name, verified.predicate.version) == ("ours", 4)
    assert verified.predicate.expires_at == EXPIRES
    assert verified.predicate.policy_set_sha256 == read_policy_set(FOLDER, "ours").sha256
    assert verified.signers == {"ann@example.com"}


def _repacked(change: Callable[[dict[str, bytes]], dict[str, bytes]]) -> bytes:
    return write_archive(change(read_archive(signed_bundle()[0], where="bundle")), where="bundle")


CHANGES: dict[str, Callable[[dict[str, bytes]], dict[str, bytes]]] = {
    "a rule": lambda files: files | {RULE: files[RULE].replace(b"> data", b"< data")},
    "a library": lambda files: files | {"lib/naming.rego": files["lib/naming.rego"] + b"\n"},
    "data": lambda files: files | {DATA: files[DATA].replace(b"20", b"9999")},
    "a collection": lambda files: files | {"collections/baseline.json": b"[]"},
    "the version": lambda files: files | {MANIFEST: files[MANIFEST].replace(b'"version":1', b'"version":9')},
    "the expiry": lambda files: files | {MANIFEST: files[MANIFEST].replace(b"2027", b"2099")},
    "a file more": lambda files: files | {"lib/more.rego": b"package policyd.lib.more\n"},
    "a file less": lambda files: {path: files[path] for path in files if path != "collections/baseline.json"},
    "no signature": lambda files: {path: files[path] for path in files if path != SIGNATURES},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_bundle_is_not_the_one_attested(change: Callable[[dict[str, bytes]], dict[str, bytes]]) -> None:
    with pytest.raises(SubjectMismatch, match="is for another file"):
        verify(_repacked(change), signed_bundle()[1])


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_bundle_is_refused_by_the_signature_inside_too(
    change: Callable[[dict[str, bytes]], dict[str, bytes]],
) -> None:
    """The attestation is made anew over the changed file, which the attacker could only do with an author's key."""
    content = _repacked(change)

    with pytest.raises(VerificationFailed):
        verify(content, attest(content))


def test_every_changed_byte_of_the_file_is_refused() -> None:
    content, attestation = signed_bundle()

    for place in range(0, len(content), 211):
        changed = bytearray(content)
        changed[place] ^= 1
        with pytest.raises(SubjectMismatch):
            verify(bytes(changed), attestation)


def test_the_attestation_of_another_bundle_is_refused() -> None:
    content, _ = signed_bundle()
    _, other = signed_bundle(version=2)

    with pytest.raises(SubjectMismatch, match="another file"):
        verify(content, other)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "theirs"},
        {"version": 7},
        {"expires_at": datetime(2099, 1, 1, tzinfo=UTC).isoformat()},
        {"policy_set_sha256": "0" * 64},
    ],
)
def test_attestation_and_manifest_speak_of_one_set(changes: dict[str, object]) -> None:
    """One author's key signs both; the two still may not be read differently by two readers."""
    content, _ = signed_bundle()

    with pytest.raises(SubjectMismatch, match="names another policy set"):
        verify(content, attest(content, signer=None, **changes))


def test_an_expired_set_is_refused_from_that_moment_on() -> None:
    content, attestation = signed_bundle()

    verify(content, attestation, now=EXPIRES - timedelta(microseconds=1))
    with pytest.raises(VerificationFailed, match="expired at 2027-01-01"):
        verify(content, attestation, now=EXPIRES)


def test_a_bundle_without_version_or_expiry_is_never_signed() -> None:
    """Who writes such an attestation by hand has a predicate that does not fit."""
    content = write_archive(signed_files(unsigned_files(version=None, expires_at=None)), where="bundle")
    bare = {"name": "ours", "policy_set_sha256": read_policy_set(FOLDER, "ours").sha256}
    statement = render_statement([Named("ours", sha256_hex(content))], POLICY_SET_V1, bare)

    with pytest.raises(VerificationFailed, match="malformed"):
        verify(content, sign_statement(statement, key("author")))
    with pytest.raises(SubjectMismatch, match="names another"):
        verify(content, attest(content, version=1, expires_at=EXPIRES.isoformat()))


@pytest.mark.parametrize("role", [Role.DECIDER, Role.BUILDER, Role.APPROVER, Role.VERIFIER])
def test_the_key_of_another_role_signs_no_policy(role: Role) -> None:
    signer = key(role.value)
    content = write_archive(signed_files(unsigned_files(), signer), where="bundle")

    with pytest.raises(IdentityNotTrusted, match="has to sign"):
        verify(content, attest(content, signer=signer))
    with pytest.raises(SignatureInvalid, match="policy-author"):
        verify(content, attest(content))


def test_an_unknown_key_signs_no_policy() -> None:
    signer = key("stranger")
    content = write_archive(signed_files(unsigned_files(), signer), where="bundle")

    with pytest.raises(SignatureInvalid):
        verify(content, attest(content, signer=signer))


def test_a_key_that_signs_both_and_is_revoked_counts_no_more() -> None:
    revoked = author_trust(trusted(key("author"), "ann@example.com", revoked_at=NOW))

    with pytest.raises(IdentityNotTrusted, match="revoked"):
        verify(*signed_bundle(), revoked)


def test_a_key_in_force_beside_the_bundle_does_not_save_a_revoked_one_inside() -> None:
    old = trusted(key("author"), "ann@example.com", revoked_at=NOW)
    trust = author_trust(old, trusted(key("new"), "ben@example.com"))
    content, _ = signed_bundle()

    with pytest.raises(IdentityNotTrusted, match="revoked"):
        verify(content, attest(content, signer=key("new")), trust)


def test_an_expired_trust_policy_trusts_nobody() -> None:
    with pytest.raises(SettingsError, match="expired"):
        verify(*signed_bundle(), author_trust(expires_at=NOW))


def _signed_by(content: bytes, *names: str) -> bytes:
    envelopes = [read_attestation(attest(content, signer=key(name)), where="a") for name in names]
    signatures: tuple[Signature, ...] = tuple(envelope.signatures[0] for envelope in envelopes)
    assert len({envelope.payload for envelope in envelopes}) == 1
    return canonical_json(envelope_to_json(Envelope(envelopes[0].payload, PAYLOAD_TYPE, signatures)))


def test_a_threshold_counts_persons() -> None:
    ann, again, ben = key("author"), key("ann's other"), key("ben")
    keys = [trusted(ann, "ann@example.com"), trusted(again, "ann@example.com"), trusted(ben, "ben@example.com")]
    trust = author_trust(*keys, threshold=2)
    content, alone = signed_bundle()

    assert verify(content, _signed_by(content, "author", "ben"), trust).signers == {
        "ann@example.com",
        "ben@example.com",
    }
    for attestation in (
        alone,
        _signed_by(content, "author", "author"),
        _signed_by(content, "author", "ann's other"),
        _signed_by(content, "author", "stranger"),
    ):
        with pytest.raises(ThresholdNotMet, match="1 of the 2"):
            verify(content, attestation, trust)


def test_an_attestation_of_another_kind_is_refused() -> None:
    """Even where the trust policy would let an author sign it."""
    content, _ = signed_bundle()
    statement = render_statement([Named("ours", sha256_hex(content))], DECISION_V1, {"verdict": "allow"})
    trust = author_trust()
    both = trust.roles[Role.POLICY_AUTHOR].model_copy(update={"predicate_types": (POLICY_SET_V1, DECISION_V1)})
    trust = trust.model_copy(update={"roles": {**trust.roles, Role.POLICY_AUTHOR: both}})

    with pytest.raises(VerificationFailed, match="is of type"):
        verify(content, sign_statement(statement, key("author")), trust)


def test_an_attestation_with_a_second_subject_is_refused() -> None:
    content, _ = signed_bundle()
    envelope = read_attestation(attest(content), where="a")
    import json

    statement = json.loads(envelope.payload)
    statement["subject"].append({"name": "other", "digest": {"sha256": "0" * 64}})

    with pytest.raises(SubjectMismatch):
        verify(content, sign_statement(canonical_json(statement), key("author")))


@pytest.mark.parametrize("attestation", [b"", b"{}", b"[]", b"<html>"])
def test_something_else_beside_the_bundle_is_an_error(attestation: bytes) -> None:
    with pytest.raises(DocumentError):
        verify(signed_bundle()[0], attestation)


def test_nothing_is_unpacked_before_an_author_is_known() -> None:
    """A signed file that is no archive is refused as one; an unsigned one is not even opened."""
    content = b"\x1f\x8b no archive"
    predicate = {
        "name": "ours",
        "version": 1,
        "expires_at": EXPIRES.isoformat(),
        "policy_set_sha256": "0" * 64,
    }
    statement = render_statement([Named("ours", sha256_hex(content))], POLICY_SET_V1, predicate)

    with pytest.raises(PolicyError, match="no gzip file"):
        verify(content, sign_statement(statement, key("author")))
    with pytest.raises(SignatureInvalid):
        verify(content, sign_statement(statement, key("stranger")))


def test_a_weaker_set_under_the_same_name_and_version_needs_an_author_again() -> None:
    content, _ = signed_bundle(unsigned_files(WEAKER))
    _, attestation = signed_bundle()

    with pytest.raises(PolicydError):
        verify(content, attestation)
