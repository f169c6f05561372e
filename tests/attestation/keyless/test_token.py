"""Identity tokens: what is read of them, and that no message repeats any of it."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyd.attestation.keyless.token import looks_like_token, read_identity_token
from policyd.errors import TokenUnusable

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BEGIN = int(NOW.timestamp())
CLAIMS = {
    "iss": "https://issuer.example.com",
    "aud": "sigstore",
    "sub": "1234",
    "exp": BEGIN + 300,
    "email": "alice@example.com",
    "email_verified": True,
}


def token(**changes: object) -> str:
    """Return a token with claims; one of None is left out."""
    claims = {name: value for name, value in (CLAIMS | changes).items() if value is not None}
    return of(json.dumps(claims).encode())


def of(claims: bytes) -> str:
    """Return what looks like a token with these bytes for claims."""
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (b'{"alg":"ES256"}', claims, b"x"))


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, ("alice@example.com",)),
        ({"email_verified": False}, ("1234",)),
        ({"email_verified": "true"}, ("1234",)),
        ({"email": None, "sub": "spiffe://example.com/a"}, ("spiffe://example.com/a",)),
        (
            {"job_workflow_ref": "o/r/.github/workflows/w.yml@refs/heads/m"},
            ("https://github.com/o/r/.github/workflows/w.yml@refs/heads/m",),
        ),
        (
            {"ci_config_ref_uri": "gitlab.com/o/r//ci.yml@refs/heads/m"},
            ("https://gitlab.com/o/r//ci.yml@refs/heads/m",),
        ),
    ],
    ids=["address", "unverified", "verified-in-words", "uri", "github", "gitlab"],
)
def test_whom_a_certificate_has_to_name(changes: dict[str, object], names: tuple[str, ...]) -> None:
    assert read_identity_token(token(**changes), now=NOW, where="t").names == names


def test_an_issuer_that_asked_another_may_be_named_by_either() -> None:
    asked = {"connector_id": "https://accounts.example.com", "user_id": "1"}

    read = read_identity_token(token(federated_claims=asked), now=NOW, where="t")

    assert read.issuers == ("https://issuer.example.com", "https://accounts.example.com")


def test_space_around_a_token_is_no_part_of_it() -> None:
    assert read_identity_token(f"\n{token()}\n", now=NOW, where="t").secret.get_secret_value() == token()


BAD = {
    "empty": ("", "no identity token"),
    "two-parts": ("eyJhIjoxfQ.e30", "no identity token"),
    "four-parts": (token() + ".x", "no identity token"),
    "with-space": (token().replace(".", ". "), "no identity token"),
    "long": ("a" * 70_000 + ".b.c", "no identity token"),
    "no-base64": ("a.b.c", "can't be read"),
    "no-json": (of(b"secret stuff"), "can't be read"),
    "no-object": (of(b'["secret"]'), "no JSON object"),
    "a-key-twice": (of(b'{"aud":"other","aud":"sigstore"}'), "can't be read"),
    "deep": (of(b"[" * 1000 + b"]" * 1000), "can't be read"),
    "no-audience": (token(aud=None), "audience"),
    "other-audience": (token(aud="vault"), "audience"),
    "for-others-too": (token(aud=["sigstore", "vault"]), "audience"),
    "ended": (token(exp=BEGIN), "ended at"),
    "endless": (token(exp=None), "does not say when it ends"),
    "ends-never": (token(exp=1e300), "no time"),
    "ends-in-words": (token(exp="tomorrow"), "no time"),
    "not-yet": (token(nbf=BEGIN + 600), "counts only from"),
    "nobody": (token(sub=None, email=None), "whom it is for"),
    "empty-names": (token(sub="", email=""), "whom it is for"),
    "no-issuer": (token(iss=None), "whom it is for"),
    "issuer-is-a-list": (token(iss=["a"]), "whom it is for"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_token_that_can_not_be_used_is_refused_without_repeating_it(case: str) -> None:
    text, words = BAD[case]

    with pytest.raises(TokenUnusable, match=words) as refused:
        read_identity_token(text, now=NOW, where="t")

    said = f"{refused.value.cause} {refused.value.fix} {refused.value.__cause__}"
    assert "secret" not in said
    assert not any(len(part) > 8 and part in said for part in text.split("."))


def test_a_token_shows_in_no_repr() -> None:
    assert token().split(".")[1] not in repr(read_identity_token(token(), now=NOW, where="t"))


@given(st.one_of(st.text(), st.binary().map(of), st.dictionaries(st.text(), st.integers()).map(json.dumps)))
def test_anything_else_is_an_error_of_ours(text: str) -> None:
    with pytest.raises(TokenUnusable):
        read_identity_token(text, now=NOW, where="t")


def test_a_token_is_told_from_a_name() -> None:
    assert looks_like_token(token())
    assert not looks_like_token("a-very-long-name-of-a-file-of-more-than-sixty-four-characters-in-all.tar.gz")
    assert not looks_like_token("token.txt")
