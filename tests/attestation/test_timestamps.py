from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyd.attestation.bundle import add_timestamp, read_bundle, signature_of
from policyd.attestation.statements import Named, render_statement, sign_statement
from policyd.attestation.timestamps import read_chain, verify_timestamp
from policyd.attestation.trust import VerifiedStatement, verify_bundle
from policyd.attestation.trust_policy import check_trust_policy
from policyd.errors import DocumentError, IdentityNotTrusted, SettingsError, VerificationFailed
from policyd.models.statement import DECISION_V1
from policyd.models.trust import Role, TrustPolicy
from tests.attestation.made_run import key, make_role, make_trust, sha256, trusted
from tests.timestamping import Authority, make_authority

SIGNATURE = b"a signature"
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("tsa") / "tsa")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("stranger") / "tsa")


@pytest.fixture(scope="module")
def timestamp(authority: Authority) -> bytes:
    return authority.stamp(SIGNATURE)


def _now() -> datetime:
    return datetime.now(UTC)


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_a_timestamp_says_by_when_a_signature_was_there(authority: Authority, digest: str) -> None:
    before = _now() - timedelta(seconds=1)

    verified = verify_timestamp(authority.stamp(SIGNATURE, digest), SIGNATURE, [authority.trusted()])

    # openssl's times have no fractions; the inaccuracy of one second that the authority states is added.
    assert before < verified.moment <= _now() + timedelta(seconds=1)
    assert verified.authority == "tsa"


def test_the_root_alone_may_be_pinned(authority: Authority, timestamp: bytes) -> None:
    assert verify_timestamp(timestamp, SIGNATURE, [authority.trusted(certificate_chain=authority.root)])


def test_a_timestamp_of_something_else_or_somebody_else_is_refused(
    authority: Authority, stranger: Authority, timestamp: bytes
) -> None:
    with pytest.raises(VerificationFailed, match="Mismatch"):
        verify_timestamp(timestamp, b"another signature", [authority.trusted()])
    with pytest.raises(VerificationFailed):
        verify_timestamp(timestamp, SIGNATURE, [stranger.trusted()])
    with pytest.raises(VerificationFailed):
        verify_timestamp(timestamp, SIGNATURE, [stranger.trusted(certificate_chain=stranger.root)])
    with pytest.raises(VerificationFailed, match="pins no"):
        verify_timestamp(timestamp, SIGNATURE, [])


def test_the_answer_to_another_request_is_refused(authority: Authority, timestamp: bytes) -> None:
    with pytest.raises(VerificationFailed, match="Nonce"):
        verify_timestamp(timestamp, SIGNATURE, [authority.trusted()], nonce=1)


def test_an_authority_counts_within_its_window_alone(authority: Authority, timestamp: bytes) -> None:
    now = _now()

    assert verify_timestamp(timestamp, SIGNATURE, [authority.trusted(valid_from=now - DAY, valid_until=now + DAY)])
    for window in ({"valid_from": now + DAY}, {"valid_until": now - DAY}):
        with pytest.raises(VerificationFailed, match="not trusted for"):
            verify_timestamp(timestamp, SIGNATURE, [authority.trusted(**window)])


def test_a_certificate_that_is_not_for_timestamps_makes_none(tmp_path: Path) -> None:
    """openssl refuses to sign with one, so one that it did sign is checked against a chain whose leaf is another's."""
    other = make_authority(tmp_path / "tsa", usage=False)

    assert read_chain(other.chain, where="x").leaf is None


@pytest.mark.parametrize("at", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_changed_timestamp_is_refused(authority: Authority, timestamp: bytes, at: float) -> None:
    changed = bytearray(timestamp)
    changed[int(len(changed) * at)] ^= 1

    try:
        verified = verify_timestamp(bytes(changed), SIGNATURE, [authority.trusted()])
    except VerificationFailed:
        return
    # Some bytes (of a certificate that comes along) are signed by nobody and change nothing that counts.
    assert verified == verify_timestamp(timestamp, SIGNATURE, [authority.trusted()])


def test_any_bytes_are_refused_as_a_timestamp(authority: Authority, timestamp: bytes) -> None:
    trusted_authority = authority.trusted()

    @given(st.binary(max_size=300) | st.integers(0, len(timestamp) - 1).map(lambda size: timestamp[:size]))
    def refused(content: bytes) -> None:
        with pytest.raises(VerificationFailed):
            verify_timestamp(content, SIGNATURE, [trusted_authority])

    refused()


@pytest.mark.parametrize(
    "pem",
    ["", "junk", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "x" * 100_000],
    ids=["empty", "junk", "broken", "long"],
)
def test_what_is_no_chain_is_refused_with_the_trust_policy(pem: str, authority: Authority) -> None:
    trust = make_trust(timestamp_authorities=(authority.trusted(certificate_chain=pem),))

    with pytest.raises(SettingsError, match="chain"):
        check_trust_policy(trust)


def test_a_chain_without_its_root_is_refused(authority: Authority) -> None:
    leaf = authority.chain.removesuffix(authority.root)

    with pytest.raises(SettingsError, match="root"):
        read_chain(leaf, where="x")


# --- what a timestamp does for a key that has ended ---


def _sign() -> bytes:
    return sign_statement(render_statement([Named("plan", sha256("plan"))], DECISION_V1, {"a": 1}), key("decider"))


def _stamped(authority: Authority) -> bytes:
    bundle = _sign()
    return add_timestamp(bundle, authority.stamp(signature_of(read_bundle(bundle, where="x"))), where="x")


def _trust(authority: Authority, **window: datetime) -> TrustPolicy:
    trust = make_trust(timestamp_authorities=(authority.trusted(),))
    return make_role(trust, Role.DECIDER, keys=(trusted(key("decider"), "ann@example.com", **window),))


def _verify(bundle: bytes, trust: TrustPolicy, now: datetime) -> VerifiedStatement:
    return verify_bundle(bundle, trust, role=Role.DECIDER, now=now, where="x")


@pytest.mark.parametrize("end", ["valid_until", "revoked_at"])
def test_a_signature_outlives_its_key_with_a_timestamp(authority: Authority, end: str) -> None:
    bundle, now = _stamped(authority), _now()
    trust = _trust(authority, **{end: now + DAY})

    assert _verify(bundle, trust, now + 2 * DAY).signers == {"ann@example.com"}
    with pytest.raises(IdentityNotTrusted):
        _verify(_sign(), trust, now + 2 * DAY)


@pytest.mark.parametrize("end", ["valid_until", "revoked_at"])
def test_a_signature_made_after_the_keys_end_is_not_saved_by_a_timestamp(authority: Authority, end: str) -> None:
    bundle, now = _stamped(authority), _now()

    with pytest.raises(IdentityNotTrusted, match="at its timestamp"):
        _verify(bundle, _trust(authority, **{end: now - DAY}), now + DAY)


def test_a_signature_made_before_its_key_counted_is_not_saved_by_a_timestamp(authority: Authority) -> None:
    bundle, now = _stamped(authority), _now()
    trust = _trust(authority, valid_from=now + DAY, valid_until=now + 2 * DAY)

    with pytest.raises(IdentityNotTrusted):
        _verify(bundle, trust, now + 3 * DAY)


def test_a_timestamp_from_the_future_counts_for_nothing(authority: Authority) -> None:
    """With the clock set back before a revocation, nothing may count that did not exist then."""
    bundle, now = _stamped(authority), _now()
    trust = _trust(authority, valid_from=now - DAY, valid_until=now + DAY, revoked_at=now - 3 * DAY)

    with pytest.raises(IdentityNotTrusted):
        _verify(bundle, trust, now - 2 * DAY)
    later = _trust(authority, valid_from=now - DAY)
    with pytest.raises(IdentityNotTrusted, match="future"):
        _verify(bundle, later, now - 2 * DAY)


def test_a_timestamp_by_an_authority_that_is_not_pinned_counts_for_nothing(
    authority: Authority, stranger: Authority
) -> None:
    now = _now()
    trust = _trust(authority, valid_until=now + DAY)

    with pytest.raises(IdentityNotTrusted, match="timestamp does not hold"):
        _verify(_stamped(stranger), trust, now + 2 * DAY)
    with pytest.raises(IdentityNotTrusted, match="pins no"):
        _verify(_stamped(authority), trust.model_copy(update={"timestamp_authorities": ()}), now + 2 * DAY)


def test_a_timestamp_of_another_bundle_counts_for_nothing(authority: Authority) -> None:
    now = _now()
    one, other = json.loads(_stamped(authority)), json.loads(_sign())
    other["verificationMaterial"] = one["verificationMaterial"]

    with pytest.raises(IdentityNotTrusted):
        _verify(json.dumps(other).encode(), _trust(authority, valid_until=now + DAY), now + 2 * DAY)


def test_one_good_timestamp_among_bad_ones_is_enough(authority: Authority, stranger: Authority) -> None:
    now, bundle = _now(), _sign()
    signature = signature_of(read_bundle(bundle, where="x"))
    for maker in (stranger, authority):
        bundle = add_timestamp(bundle, maker.stamp(signature), where="x")

    assert _verify(bundle, _trust(authority, valid_until=now + DAY), now + 2 * DAY)


def test_a_key_in_force_needs_no_timestamp_to_hold(authority: Authority, stranger: Authority) -> None:
    assert _verify(_stamped(stranger), _trust(authority), _now())


def test_a_timestamp_does_not_make_a_stranger_of_a_key_a_signer(authority: Authority) -> None:
    trust = make_role(_trust(authority), Role.DECIDER, keys=(trusted(key("other"), "eve@example.com"),))

    with pytest.raises(VerificationFailed):
        _verify(_stamped(authority), trust, _now())


@pytest.mark.parametrize(
    "data",
    [
        [],
        {"rfc3161Timestamps": {}},
        {"rfc3161Timestamps": [{}]},
        {"rfc3161Timestamps": [{"signedTimestamp": "!"}]},
        {"rfc3161Timestamps": [{"signedTimestamp": ""}]},
        {"rfc3161Timestamps": [{"signedTimestamp": "AAAA"}] * 9},
    ],
    ids=["list", "no list", "no timestamp", "no base64", "empty", "many"],
)
def test_malformed_timestamps_in_a_bundle_are_refused(data: object) -> None:
    value = json.loads(_sign())
    value["verificationMaterial"]["timestampVerificationData"] = data

    with pytest.raises(DocumentError):
        read_bundle(json.dumps(value).encode(), where="x")
