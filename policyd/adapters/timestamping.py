"""Asks an RFC 3161 authority for a timestamp, and takes none that does not verify.

The only thing sent is a digest of a signature. Answers are bounded in bytes and time; redirects are not followed.

Source: RFC 3161 section 3.4 (over HTTP).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from policyd.attestation.bundle import add_timestamp, read_bundle, signature_of
from policyd.attestation.material import MAX_TIMESTAMP_BYTES
from policyd.attestation.timestamps import VerifiedTime, verify_timestamp
from policyd.errors import TimestampError, UsageError, VerificationFailed
from policyd.models.trust import TimestampAuthority

if TYPE_CHECKING:
    import requests

TIMEOUT_SECONDS = 20


def stamp_bundle(
    content: bytes, url: str, authorities: Sequence[TimestampAuthority], *, where: str
) -> tuple[bytes, VerifiedTime]:
    """Return the Sigstore bundle `content` with a timestamp from `url` that one of `authorities` vouches for.

    Raises `TimestampError` where none can be had, `UsageError` for the URL.
    """
    signature = signature_of(read_bundle(content, where=where))
    timestamp, time = request_timestamp(signature, url, authorities)
    return add_timestamp(content, timestamp, where=where), time


def request_timestamp(
    signature: bytes, url: str, authorities: Sequence[TimestampAuthority]
) -> tuple[bytes, VerifiedTime]:
    """Return the authority's response for `signature` in DER, and what it says, verified."""
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or "@" in parts.netloc:
        raise UsageError("this is no URL of a timestamp authority", where=url, fix="write https://host/path")
    request = TimestampRequestBuilder().data(signature).hash_algorithm(HashAlgorithm.SHA256).build()
    timestamp = _post(url, request.as_bytes())
    try:
        return timestamp, verify_timestamp(timestamp, signature, authorities, nonce=request.nonce)
    except VerificationFailed as error:
        raise TimestampError(
            error.cause, where=url, fix="check that this authority's chain is the one that is pinned"
        ) from error


def _post(url: str, query: bytes) -> bytes:
    from http.client import HTTPException

    import requests
    import urllib3

    class Session(requests.Session):
        def get_redirect_target(self, resp: requests.Response) -> None:
            """Return None: requests would read the body of a redirect, however long, though it does not follow it."""

    try:
        with Session() as session, _send(session, url, query) as answer:
            if answer.status_code != requests.codes.ok:
                raise _failed(f"it answers {answer.status_code}", url)
            # One read of one byte more than is taken: what is longer is not waited for.
            content: bytes = answer.raw.read(MAX_TIMESTAMP_BYTES + 1, decode_content=False)
    except (requests.RequestException, urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
        raise _failed(f"it can't be reached ({type(error).__name__})", url) from error
    if len(content) > MAX_TIMESTAMP_BYTES:
        raise _failed(f"its answer is longer than {MAX_TIMESTAMP_BYTES} bytes", url)
    return content


def _send(session: requests.Session, url: str, query: bytes) -> requests.Response:
    headers = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
    return session.post(url, data=query, headers=headers, timeout=TIMEOUT_SECONDS, allow_redirects=False, stream=True)


def _failed(cause: str, url: str) -> TimestampError:
    return TimestampError(
        f"the timestamp authority gives no timestamp: {cause}",
        where=url,
        fix="try again, name another authority, or sign without a timestamp",
    )
