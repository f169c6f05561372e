from __future__ import annotations

import re
from dataclasses import replace
from time import perf_counter

import pytest

from policyd.attestation.keyless.identity import AskedIdentity, require_identity
from policyd.attestation.keyless.leaf import Leaf, read_leaf
from policyd.errors import IdentityNotTrusted, UsageError
from tests.attestation.keyless.instance import IDENTITY, ISSUER, Instance, LeafOptions, private_key

CERTIFICATE = Instance().certificates.issue(LeafOptions(), private_key("p256", "leaf"))


def _leaf(identity: str = IDENTITY) -> Leaf:
    from cryptography.hazmat.primitives.serialization import Encoding

    return replace(read_leaf(CERTIFICATE.public_bytes(Encoding.DER), where="x"), identity=identity)


def _takes_in(pattern: str, identity: str) -> bool:
    try:
        require_identity(_leaf(identity), AskedIdentity(issuer=ISSUER, pattern=pattern), where="x")
    except IdentityNotTrusted:
        return False
    return True


@pytest.mark.parametrize(
    ("pattern", "identity"),
    [
        (r"https://github\.com/example/.*", IDENTITY),
        (r"https://github\.com/example/project/\.github/workflows/[a-z]+\.yml@refs/tags/v\d+", IDENTITY),
        (r".*@example\.com", "someone@example.com"),
        (r"(alice|bob)@example\.com", "bob@example.com"),
        (r"^alice@example\.com$", "alice@example.com"),
    ],
)
def test_a_pattern_takes_in_who_matches_as_a_whole(pattern: str, identity: str) -> None:
    assert _takes_in(pattern, identity)


@pytest.mark.parametrize(
    ("pattern", "identity"),
    [
        (r"https://github\.com/example/", IDENTITY),
        (r"alice@example\.com", "malice@example.com"),
        (r"alice@example\.com", "alice@example.com.evil.example"),
        (r"alice@example\.com", "alice@example.com\n"),
        (r"alice@example\.com", "mallory@evil.example\nalice@example.com"),
        (r"alice@example\.com|bob@example\.com", "bob@example.com.evil.example"),
        (r"https://github\.com/example/.*", "https://github.com/other/x/https://github.com/example/y"),
    ],
)
def test_a_pattern_is_anchored_at_both_ends(pattern: str, identity: str) -> None:
    assert not _takes_in(pattern, identity)


@pytest.mark.parametrize(
    "pattern",
    [
        ".*",
        ".+",
        "(?s).*",
        "[^x]*",
        r"\S+",
        "(a|.*)",
        "https://.*",
        r".*@.*",
        r"[^@]+@[^@]+",
        r"https://github\.com/.*",
        r"https://github\.com/[^/]+/[^/]+/\.github/workflows/.*",
        r"https://gitlab\.com/.*",
        r".*@gmail\.com",
        "(?i)HTTPS://.*",
    ],
)
def test_a_pattern_for_anybody_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError, match="anybody"):
        AskedIdentity(issuer=ISSUER, pattern=pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"https://github\.com/example.*",
        r"https://github\.com/e.*",
        r"https://github\.com/[^/]+/project/.*",
        r".*example/project/\.github/workflows/release\.yml@refs/tags/.*",
        r".*/example/project/.*",
        r"https://github\.com/(.*/)?example/project/.*",
    ],
)
def test_a_pattern_that_takes_in_the_same_workflow_of_somebody_else_is_refused(pattern: str) -> None:
    asked = AskedIdentity(issuer=ISSUER, pattern=pattern)

    with pytest.raises(IdentityNotTrusted, match="policyd-nobody"):
        require_identity(_leaf(), asked, where="x")


@pytest.mark.parametrize(
    ("pattern", "identity"),
    [
        (r"https://github\.com/example/.*", IDENTITY),
        (r"https://github\.com/(example|another)/[^/]+/\.github/workflows/release\.yml@refs/tags/v[0-9]+", IDENTITY),
        (r"https://git\.example\.com/.*", "https://git.example.com/any/project//.gitlab-ci.yml@refs/heads/main"),
        (r".*@example\.com", "ann@example.com"),
    ],
)
def test_a_pattern_that_names_its_owner_takes_in_what_is_the_owners(pattern: str, identity: str) -> None:
    require_identity(_leaf(identity), AskedIdentity(issuer=ISSUER, pattern=pattern), where="x")


@pytest.mark.parametrize("pattern", ["", "[", "a)|(.*", "(?=x)x", r"(a)\1", "(?x)a#", "a" * 1025, "(a{999}){999}"])
def test_what_is_no_expression_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError):
        AskedIdentity(issuer=ISSUER, pattern=pattern)


def test_a_pattern_takes_no_longer_for_a_text_made_to_hold_it_up() -> None:
    """`re` would take years for this one."""
    pattern, identity = "(x+x+)+y", "x" * 2000
    start = perf_counter()

    assert not _takes_in(pattern, identity)

    assert perf_counter() - start < 5
    assert re.compile(pattern)


@pytest.mark.parametrize(
    ("issuer", "exact", "pattern"),
    [(ISSUER, None, None), (ISSUER, IDENTITY, IDENTITY), ("", IDENTITY, None), (ISSUER, "", None)],
)
def test_nobody_is_asked_for(issuer: str, exact: str | None, pattern: str | None) -> None:
    with pytest.raises(UsageError):
        AskedIdentity(issuer=issuer, exact=exact, pattern=pattern)


def test_identity_and_issuer_are_compared_exactly() -> None:
    require_identity(_leaf(), AskedIdentity(issuer=ISSUER, exact=IDENTITY), where="x")
    for issuer, exact in (
        (ISSUER + "/", IDENTITY),
        (ISSUER, IDENTITY + "/"),
        (ISSUER, IDENTITY.upper()),
        (ISSUER, ".*"),
    ):
        with pytest.raises(IdentityNotTrusted):
            require_identity(_leaf(), AskedIdentity(issuer=issuer, exact=exact), where="x")
