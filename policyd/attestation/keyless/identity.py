"""Whose keyless signature is asked for: one identity, or a pattern, at one identity provider.

A pattern is anchored at both ends, and one that takes everybody in is refused: an identity that anyone can have is no
identity (docs/threats.md, T22). Patterns are matched by an engine whose time grows with the text alone, because the
text comes from whoever signed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from policyd.attestation.keyless.leaf import Leaf
from policyd.errors import IdentityNotTrusted, UsageError

if TYPE_CHECKING:
    from pydantic_core import SchemaValidator

MAX_PATTERN = 1024
#: Identities that nobody who means somebody means: a pattern that takes one of them in names no one.
_ANYBODY = (
    "nobody",
    "nobody@policyd.invalid",
    "https://policyd.invalid/nobody",
    "spiffe://policyd.invalid/nobody",
    "policyd-nobody@gmail.com",
    "policyd-nobody@users.noreply.github.com",
    "https://github.com/policyd-nobody-invalid/nothing/.github/workflows/any.yml@refs/heads/any",
    "https://github.com/login/oauth/policyd-nobody-invalid",
    "https://gitlab.com/policyd-nobody-invalid/nothing//.gitlab-ci.yml@refs/heads/any",
)
#: Where anybody can have any name that is still free, as the owner of repositories called like others'.
_OPEN_TO_ALL = ("https://github.com/", "https://gitlab.com/")


@dataclass(frozen=True, slots=True)
class AskedIdentity:
    """The identity asked for: exactly one of `exact` and `pattern`, and the identity provider, exactly."""

    issuer: str
    exact: str | None = None
    pattern: str | None = None

    def __post_init__(self) -> None:
        if (self.exact is None) == (self.pattern is None):
            raise UsageError(
                "an identity is asked for exactly or by a pattern, one of the two",
                where="certificate identity",
                fix="give --cert-identity or --cert-identity-regexp",
            )
        if not self.issuer or self.exact == "":
            raise UsageError(
                "an empty identity or issuer is nobody's",
                where="certificate identity",
                fix="give the identity and the issuer as they stand in the certificate",
            )
        if self.pattern is not None:
            _require_narrow(self.pattern)

    def describe(self) -> str:
        """Return who is asked for, in words."""
        who = self.exact if self.exact is not None else f"an identity like {self.pattern}"
        return f"{who} at {self.issuer}"


def require_identity(leaf: Leaf, asked: AskedIdentity, *, where: str) -> None:
    """Raise `IdentityNotTrusted` unless the certificate names the identity asked for, at the provider asked for."""
    if leaf.issuer != asked.issuer:
        raise IdentityNotTrusted(
            f"the signer was vouched for by {leaf.issuer}, not by {asked.issuer}",
            where=where,
            fix="find out whether this signer should count; if so, ask for this issuer",
        )
    named = leaf.identity == asked.exact if asked.exact is not None else _matches(asked.pattern or "", leaf.identity)
    if not named:
        raise IdentityNotTrusted(
            f"the signer is {leaf.identity}, not {asked.describe()}",
            where=where,
            fix="find out whether this signer should count; if so, ask for this identity",
        )
    other = None if asked.pattern is None else _find_other_owner(asked.pattern, leaf.identity)
    if other is not None:
        raise IdentityNotTrusted(
            f"the pattern {asked.pattern!r} would take in {other} as well as the signer, {leaf.identity}",
            where=where,
            fix="begin the pattern with https://, the host, and the owner in full up to the slash behind it",
        )


def _find_other_owner(pattern: str, identity: str) -> str | None:
    """Return the same workflow of somebody else, if the pattern takes it in too; it matched `identity` already.

    `https://github.com/acme.*` is for whoever registers `acme-release`, `.*/acme/app/.*` for who calls a branch so.
    """
    host = next((host for host in _OPEN_TO_ALL if identity.startswith(host)), None)
    if host is None:
        return None
    path = identity.removeprefix(host)
    owner, _, rest = path.partition("/")
    others = (
        f"{host}policyd-nobody-invalid/{rest}",
        f"{host}{owner}-policyd-nobody/{rest}",
        f"{host}policyd-nobody-{owner}/{rest}",
        f"{host}policyd-nobody-invalid/nothing/.github/workflows/any.yml@refs/heads/{path}",
    )
    return next((other for other in others if _matches(pattern, other)), None)


def _require_narrow(pattern: str) -> None:
    for identity in _ANYBODY:
        if _matches(pattern, identity):
            raise UsageError(
                f"the pattern {pattern[:128]!r} is for anybody: it takes in {identity}",
                where="certificate identity",
                fix="name the organisation and repository, or the host of the addresses, in full",
            )


def _matches(pattern: str, identity: str) -> bool:
    from pydantic_core import ValidationError

    try:
        _compile(pattern).validate_python(identity)
    except ValidationError:
        return False
    return True


@lru_cache(maxsize=64)
def _compile(pattern: str) -> SchemaValidator:
    """Return what matches a pattern on the whole text, through pydantic's regular expressions (Rust's, linear time)."""
    from pydantic_core import SchemaError, SchemaValidator, core_schema

    if not 0 < len(pattern) <= MAX_PATTERN:
        raise _no_pattern(pattern, f"it does not have 1 to {MAX_PATTERN} characters")
    try:
        # Alone first: `a)|(b` is no expression, and would break out of the group that anchors it.
        SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
        anchored = rf"\A(?:{pattern})\z"
        return SchemaValidator(core_schema.str_schema(pattern=anchored, regex_engine="rust-regex"))
    except SchemaError as error:
        raise _no_pattern(pattern, str(error).replace("\n", " ")[:200]) from error


def _no_pattern(pattern: str, cause: str) -> UsageError:
    return UsageError(
        f"the pattern {pattern[:128]!r} can't be used: {cause}",
        where="certificate identity",
        fix="write a regular expression without look-around and back references",
    )
