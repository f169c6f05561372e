from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from policyd.adapters.timestamping import request_timestamp
from policyd.attestation.material import MAX_TIMESTAMP_BYTES
from policyd.errors import TimestampError, UsageError
from tests.timestamping import MAX_SENT, Authority, make_authority, serving


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[Authority]:
    with serving(make_authority(tmp_path / "tsa")) as made:
        yield made


def test_an_authority_is_asked_for_a_digest_of_the_signature_alone(authority: Authority) -> None:
    timestamp, time = request_timestamp(b"a signature", authority.url, [authority.trusted()])

    assert timestamp
    assert time.authority == "tsa"
    assert b"a signature" not in authority.asked[0]


def test_an_answer_made_before_for_the_same_signature_is_not_taken(authority: Authority) -> None:
    """Its nonce is another request's: whoever sits between can't hand out an old time."""
    authority.answer = authority.stamp(b"a signature")

    with pytest.raises(TimestampError, match="Nonce"):
        request_timestamp(b"a signature", authority.url, [authority.trusted()])


@pytest.mark.parametrize(
    ("status", "answer"),
    [(200, b""), (200, b"junk"), (200, b"x" * (MAX_TIMESTAMP_BYTES + 1)), (500, b"x"), (302, b"")],
    ids=["empty", "junk", "long", "error", "redirect"],
)
def test_what_is_no_timestamp_is_refused(authority: Authority, status: int, answer: bytes) -> None:
    authority.status, authority.answer = status, answer

    with pytest.raises(TimestampError) as caught:
        request_timestamp(b"a signature", authority.url, [authority.trusted()])

    assert caught.value.where == authority.url
    assert len(authority.asked) == 1


@pytest.mark.parametrize("status", [200, 302, 500])
def test_an_endless_answer_is_not_read_to_its_end(authority: Authority, status: int) -> None:
    """Also that of a redirect, of which requests reads the body whether it is to follow it or not."""
    authority.status, authority.answer, authority.endless = status, b"", True

    with pytest.raises(TimestampError):
        request_timestamp(b"a signature", authority.url, [authority.trusted()])

    assert authority.sent < MAX_SENT // 4  # what the sockets between hold is sent, and no more


def test_an_answer_that_ends_too_early_is_refused(authority: Authority) -> None:
    authority.answer, authority.cut = b"x", True

    with pytest.raises(TimestampError):
        request_timestamp(b"a signature", authority.url, [authority.trusted()])


@pytest.mark.parametrize("url", ["", "file:///etc/passwd", "ftp://a/b", "http://", "http://user:secret@host/"])
def test_what_is_no_url_of_an_authority_is_a_wrong_request(url: str) -> None:
    with pytest.raises(UsageError):
        request_timestamp(b"a signature", url, [])
