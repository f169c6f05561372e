from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyd.attestation.subjects import Digests, Subject, read_statement
from policyd.errors import PolicydError, SubjectMismatch, VerificationFailed
from tests.attestation.keyless.instance import statement

A, B = b"a" * 32, b"b" * 64


@pytest.mark.parametrize(
    ("subject", "artifact", "matches"),
    [
        ({"sha256": A}, {"sha256": A}, True),
        ({"sha256": A}, {"sha256": A, "sha512": B}, True),
        ({"sha256": A, "sha512": B}, {"sha256": A}, True),
        ({"sha256": A, "sha512": B}, {"sha256": A, "sha512": bytes(64)}, False),
        ({"sha256": A, "sha512": B}, {"sha256": bytes(32), "sha512": B}, False),
        ({"sha512": B}, {"sha256": A}, False),
        ({"sha256": A}, {}, False),
    ],
)
def test_a_subject_is_the_file_whose_digests_agree(subject: Digests, artifact: Digests, matches: bool) -> None:
    """At least one in common, and none that differs (docs/threats.md, T26)."""
    assert Subject("x", subject).is_of(artifact) is matches


def test_digests_that_do_not_count_are_left_aside_but_never_alone() -> None:
    weak = {"md5": "0" * 32, "sha1": "0" * 40, "gitCommit": "0" * 40, "sha3_256": "0" * 64}

    _, (subject,) = read_statement(statement(subject=[{"digest": weak | {"sha256": A.hex()}}]), where="x")

    assert subject.digests == {"sha256": A}
    with pytest.raises(SubjectMismatch):
        read_statement(statement(subject=[{"name": "x", "digest": weak}]), where="x")
    good = {"name": "x", "digest": {"sha256": A.hex()}}
    with pytest.raises(SubjectMismatch):
        read_statement(statement(subject=[good, {"name": "y", "digest": weak}]), where="x")


@given(st.binary())
def test_any_bytes_are_a_statement_or_an_error_of_ours(content: bytes) -> None:
    try:
        read_statement(content, where="x")
    except PolicydError:
        return


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda one: st.lists(one) | st.dictionaries(st.text(), one),
    )
)
def test_any_subject_is_read_or_refused(value: object) -> None:
    try:
        read_statement(json.dumps({"_type": "https://in-toto.io/Statement/v1", "subject": value}).encode(), where="x")
    except VerificationFailed:
        return


def test_a_statement_of_an_empty_type_is_none() -> None:
    """Asked for `any` type, it would be one; no rule and no role could name it."""
    digest = {"sha256": "0" * 64}
    statement = {"_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": digest}], "predicate": {}}

    with pytest.raises(VerificationFailed, match="predicateType is empty"):
        read_statement(json.dumps(statement | {"predicateType": ""}).encode(), where="x")
