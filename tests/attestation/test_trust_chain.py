"""From one version of a trust policy to the next: each check, and that nobody else gets one pinned."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from policyd.attestation.trust_chain import (
    CHECKS,
    TrustDocument,
    read_trust_document,
    require_unexpired,
    roll_forward,
    verify_own_signatures,
    verify_successor,
)
from policyd.errors import DocumentError, IdentityNotTrusted, PolicydError, ThresholdNotMet, VerificationFailed
from policyd.models.canonical import sha256_hex
from policyd.models.statement import DECISION_V1, PAYLOAD_TYPE
from policyd.models.trust import Role
from tests.attestation.made_run import NOW, make_role
from tests.attestation.made_trust import make_version, signed, signed_bytes

DAY = timedelta(days=1)


def refused(number: int, current: TrustDocument, *offered: TrustDocument) -> VerificationFailed:
    with pytest.raises(VerificationFailed, match=f"^check {number}, {CHECKS[number]}: ") as caught:
        roll_forward(current, offered, now=NOW)
    assert caught.value.fix
    return caught.value


def test_a_document_has_one_name_with_and_without_signatures() -> None:
    bare, once, twice = (signed(make_version(1), by) for by in ((), ("ann",), ("ann", "bob")))

    assert bare.sha256 == once.sha256 == twice.sha256 == sha256_hex(signed_bytes(make_version(1)))
    assert not bare.signed
    assert twice.trust == make_version(1)


def test_the_next_version_counts_with_both_thresholds() -> None:
    pinned = signed(make_version(1, ["ann", "bob"], threshold=2))
    following = signed(make_version(2, ["bob", "cleo", "dan"], threshold=2), ["ann", "bob", "cleo"])

    assert roll_forward(pinned, [following], now=NOW) == (following,)


def test_versions_in_between_are_walked_whatever_their_order_and_their_end() -> None:
    pinned = signed(make_version(1, ["ann"]))
    second = signed(make_version(2, ["bob"], expires_at=NOW - DAY), ["ann", "bob"])
    third = signed(make_version(3, ["cleo"]), ["bob", "cleo"])

    assert roll_forward(pinned, [third, second], now=NOW) == (second, third)


def test_what_is_pinned_already_stays() -> None:
    pinned = signed(make_version(3))

    assert roll_forward(pinned, [signed(make_version(3), ["ann"])], now=NOW) == ()


@pytest.mark.parametrize(
    ("number", "following"),
    [
        (1, signed(make_version(2))),
        (2, signed(make_version(2, name="other"), ["ann", "bob"])),
        (3, signed(make_version(3), ["ann", "bob"])),
        (4, signed(make_version(2, ["cleo", "dan"], threshold=2), ["cleo", "dan"])),
        (4, signed(make_version(2), ["ann"])),
        (4, signed(make_version(2, ["ann", "ann/2"]), ["ann", "ann/2"])),
        (5, signed(make_version(2, ["cleo"]), ["ann", "bob"])),
        (5, signed(make_version(2, ["ann", "bob", "cleo"], threshold=3), ["ann", "bob"])),
        (5, signed(make_version(2, []), ["ann", "bob"])),
        (5, signed(make_version(2, types=[DECISION_V1]), ["ann", "bob"])),
        (6, signed(make_version(2, expires_at=NOW), ["ann", "bob"])),
    ],
    ids=[
        "unsigned",
        "another name",
        "a version left out",
        "only its own authors",
        "one of two",
        "one person twice",
        "only the authors before",
        "its own threshold",
        "without authors",
        "authors who may not sign it",
        "expired",
    ],
)
def test_what_does_not_hold_is_refused_by_the_number_of_its_check(number: int, following: TrustDocument) -> None:
    refused(number, signed(make_version(1, ["ann", "ann/2", "bob"], threshold=2)), following)


def test_nothing_follows_a_version_without_trust_authors() -> None:
    error = refused(4, signed(make_version(1, [])), signed(make_version(2), ["ann"]))

    assert isinstance(error, IdentityNotTrusted)


def test_an_older_version_is_refused_and_so_is_another_of_the_same_number() -> None:
    pinned = signed(make_version(3))

    assert "version 2, and version 3 is pinned" in refused(3, pinned, signed(make_version(2), ["ann"])).cause
    other = signed(make_version(3, ["ann"]), ["ann"])
    assert "another document" in refused(3, pinned, other).cause


def test_of_two_documents_with_one_version_none_counts() -> None:
    one, other = signed(make_version(2, ["ann"]), ["ann"]), signed(make_version(2, ["ann", "bob"]), ["ann"], name="x")

    assert "two documents" in refused(3, signed(make_version(1, ["ann"])), one, other).cause


def test_a_version_that_took_a_key_away_can_not_be_stepped_over() -> None:
    """Bob's key was lost: with version 1 in hand, whoever has it makes a version 3 of his own."""
    pinned = signed(make_version(1, ["ann", "bob"]))
    without_bob = signed(make_version(2, ["ann"]), ["ann"])
    by_bob = signed(make_version(3, ["bob"]), ["bob"])

    refused(3, pinned, by_bob)
    refused(4, pinned, without_bob, by_bob)


@pytest.mark.parametrize("change", [{"revoked_at": NOW}, {"valid_until": NOW}, {"valid_from": NOW + DAY}], ids=str)
def test_a_key_that_is_not_in_force_signs_no_trust_policy(change: dict[str, object]) -> None:
    trust = make_version(1, ["ann"])
    [listed] = trust.roles[Role.TRUST_AUTHOR].keys
    pinned = signed(make_role(trust, Role.TRUST_AUTHOR, keys=(listed.model_copy(update=change),)))

    refused(4, pinned, signed(make_version(2, ["ann"]), ["ann"]))


def test_the_pinned_version_may_have_expired() -> None:
    pinned = signed(make_version(1, ["ann"], expires_at=NOW - DAY))

    assert len(roll_forward(pinned, [signed(make_version(2, ["ann"]), ["ann"])], now=NOW)) == 1


def test_a_signature_over_other_bytes_or_another_type_is_none() -> None:
    content = json.loads(signed_bytes(make_version(2, ["ann"]), ["ann"]))
    other = json.loads(signed_bytes(make_version(2, ["ann"], threshold=1, name="example"), ["ann"]))
    changed = signed(make_version(2, ["ann", "mallory"]))
    forged = {**other, "payload": json.loads(signed_bytes(changed.trust, ["mallory"]))["payload"]}
    pinned = signed(make_version(1, ["ann"]))

    refused(4, pinned, read_trust_document(json.dumps(forged).encode(), where="x"))
    as_statement = signed_bytes(make_version(2, ["ann"]), ["ann"], payload_type=PAYLOAD_TYPE)
    with pytest.raises(DocumentError, match="the payload type is"):
        read_trust_document(as_statement, where="x")
    relabelled = {**json.loads(as_statement), "payloadType": content["payloadType"]}
    refused(4, pinned, read_trust_document(json.dumps(relabelled).encode(), where="x"))


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b'{"payloadType": 1}', b"[]", b"null", b'{"payload": "", "payloadType": "x", "signatures": []}'],
    ids=["empty", "open", "no type", "list", "null", "unsigned"],
)
def test_what_is_no_trust_policy_is_an_error(content: bytes) -> None:
    with pytest.raises(PolicydError) as caught:
        read_trust_document(content, where="trust.json")

    assert caught.value.exit_code == 2


def test_own_signatures_have_to_meet_the_documents_own_threshold() -> None:
    document = signed(make_version(1, ["ann", "bob"], threshold=2), ["ann"])

    with pytest.raises(ThresholdNotMet, match="check 5"):
        verify_own_signatures(document, now=NOW)
    both = signed(make_version(1, ["ann", "bob"], threshold=2), ["ann", "bob"])
    assert verify_own_signatures(both, now=NOW) == {"ann", "bob"}


def test_expiry_is_asked_of_the_moment_itself() -> None:
    document = signed(make_version(1, expires_at=NOW))

    require_unexpired(document, now=NOW - timedelta(microseconds=1))
    with pytest.raises(VerificationFailed, match="check 6"):
        require_unexpired(document, now=NOW)


def test_a_step_alone_does_not_ask_for_the_end() -> None:
    following = signed(make_version(2, ["ann"], expires_at=NOW - DAY), ["ann"])

    assert verify_successor(make_version(1, ["ann"]), following, now=NOW) is following


PERSONS = ("ann", "bob", "cleo")
STOLEN = ("bob",)
OUTSIDERS = ("mallory", "trudy")


class Rolling(RuleBasedStateMachine):
    """Honest authors make versions; somebody who has fewer keys than any threshold offers what they like."""

    def __init__(self) -> None:
        super().__init__()
        self.pinned = signed(make_version(1, PERSONS, threshold=2))
        self.published = [self.pinned]
        self.honest = {self.pinned.sha256}
        self.highest = 1

    def _offer(self, *documents: TrustDocument) -> None:
        try:
            walked = roll_forward(self.pinned, documents, now=NOW)
        except VerificationFailed:
            return
        if walked:
            self.pinned = walked[-1]

    @rule(authors=st.sampled_from([PERSONS, ("ann", "cleo"), ("ann", "bob")]), pin=st.booleans())
    def publish(self, authors: tuple[str, ...], pin: bool) -> None:
        """The next version of what was published last, signed as it must be."""
        last = self.published[-1].trust
        signers = sorted({*(one.person for one in last.roles[Role.TRUST_AUTHOR].keys), *authors})
        made = signed(make_version(last.version + 1, authors, threshold=2), signers)
        self.published.append(made)
        self.honest.add(made.sha256)
        if pin:
            self._offer(*self.published)

    @rule(number=st.integers(min_value=0, max_value=6))
    def replay(self, number: int) -> None:
        """An old version by itself."""
        self._offer(self.published[number % len(self.published)])

    @rule(
        step=st.integers(min_value=-1, max_value=3),
        authors=st.sampled_from([OUTSIDERS, (*STOLEN, *OUTSIDERS), PERSONS, STOLEN]),
        threshold=st.integers(min_value=1, max_value=2),
        signers=st.sampled_from([STOLEN, OUTSIDERS, (*STOLEN, *OUTSIDERS), (*STOLEN, *STOLEN)]),
        chain=st.booleans(),
    )
    def attack(
        self, step: int, authors: tuple[str, ...], threshold: int, signers: tuple[str, ...], chain: bool
    ) -> None:
        """A version of the attacker's own, alone or behind the honest ones."""
        version = max(1, self.pinned.trust.version + step)
        forged = signed(make_version(version, authors, threshold=threshold, policy_sets=("0" * 64,)), signers)
        self._offer(*(self.published if chain else ()), forged)

    @rule(by=st.sampled_from([STOLEN, OUTSIDERS]))
    def strip(self, by: tuple[str, ...]) -> None:
        """The newest honest version with other signatures than it had."""
        self._offer(signed(self.published[-1].trust, by))

    @invariant()
    def only_honest_versions_are_pinned_and_never_an_older_one(self) -> None:
        assert self.pinned.sha256 in self.honest
        assert self.pinned.trust.version >= self.highest
        self.highest = self.pinned.trust.version


Rolling.TestCase.settings = settings(
    max_examples=25, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
TestRolling = Rolling.TestCase
