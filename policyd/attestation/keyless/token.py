"""An identity token: what it says of its holder, read and not believed.

Whether a token is genuine is the certificate authority's to say; policyd needs to know whom the certificate has to name
that comes back for it, and whether asking makes sense at all. The token itself is a secret: who has it is its holder.

Source: RFC 7519 section 4.1; OpenID Connect Core 1.0 section 2; Fulcio's documentation of its issuers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from policyd.attestation.dsse import read_base64
from policyd.errors import DocumentError, TokenUnusable
from policyd.models.base import rfc3339
from policyd.models.strict_json import read_json

#: For whom a token is made that a Sigstore instance takes.
AUDIENCE = "sigstore"
MAX_TOKEN_CHARACTERS = 64 * 1024  # GitHub's have 2 KB
MAX_CLAIM_CHARACTERS = 2048
MAX_CLAIMS_DEPTH = 16
#: Clocks differ by seconds; the authority looks at the time itself.
CLOCK_TOLERANCE = timedelta(seconds=30)
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
#: The claims of CI systems that Fulcio makes a workflow's name of.
_WORKFLOW_CLAIMS = {"job_workflow_ref": "https://github.com/", "ci_config_ref_uri": "https://"}


@dataclass(frozen=True, slots=True)
class IdentityToken:
    """A token of a form that can be used. `names` and `issuers` are what a certificate for it may name."""

    secret: SecretStr
    issuers: tuple[str, ...]
    names: tuple[str, ...]
    expires_at: datetime


def looks_like_token(text: str) -> bool:
    """Say whether `text` is a token rather than a file's name: a secret must not be an argument of a command."""
    return text.startswith("eyJ") and _FORM.fullmatch(text.strip()) is not None


def read_identity_token(text: str, *, now: datetime, where: str) -> IdentityToken:
    """Return the token in `text`, which holds nothing else.

    Raises `TokenUnusable` for anything else, for one that is made for somebody else than Sigstore, and for one that is
    not in force at `now`. No message repeats any of it.
    """
    # 1. The form.
    text = text.strip()
    if len(text) > MAX_TOKEN_CHARACTERS or _FORM.fullmatch(text) is None:
        raise _unusable("this is no identity token: three parts of base64, with points between", where)
    claims = _read_claims(text.split(".")[1], where)

    # 2. For whom it is made. An authority of another audience would refuse it, having seen it.
    audience = claims.get("aud")
    if audience != AUDIENCE and audience != [AUDIENCE]:
        raise _unusable("the identity token is not made for the audience `sigstore`, or not for it alone", where)

    # 3. When it counts.
    expires_at, not_before = _read_time(claims, "exp", where), _read_time(claims, "nbf", where)
    if expires_at is None:
        raise _unusable("the identity token does not say when it ends", where)
    if now >= expires_at:
        raise _unusable(f"the identity token ended at {rfc3339(expires_at)}", where)
    if not_before is not None and now < not_before - CLOCK_TOLERANCE:
        raise _unusable(f"the identity token counts only from {rfc3339(not_before)} on: is the clock right?", where)

    # 4. Whom it names, and who says so.
    issuer = _text(claims.get("iss"))
    names = _names(claims)
    if not issuer or not names:
        raise _unusable("the identity token does not say whom it is for, or who says so", where)
    federated = claims.get("federated_claims")
    # An issuer that asks others (Dex) says whom it asked, and Fulcio may be told to write that.
    asked = _text(federated.get("connector_id")) if isinstance(federated, dict) else None
    return IdentityToken(
        secret=SecretStr(text),
        issuers=(issuer,) if asked is None else (issuer, asked),
        names=names,
        expires_at=expires_at,
    )


def _names(claims: dict[str, object]) -> tuple[str, ...]:
    """Return what the authority may call the holder: a workflow, else an address, else the subject."""
    for claim, start in _WORKFLOW_CLAIMS.items():
        if workflow := _text(claims.get(claim)):
            return (start + workflow,)
    if (email := _text(claims.get("email"))) and claims.get("email_verified") is True:
        return (email,)
    subject = _text(claims.get("sub"))
    return () if subject is None else (subject,)


def _read_claims(part: str, where: str) -> dict[str, object]:
    try:
        content = read_base64(part + "=" * (-len(part) % 4), where=where)
        claims = read_json(content, where=where, max_bytes=MAX_TOKEN_CHARACTERS, max_depth=MAX_CLAIMS_DEPTH)
    except DocumentError:
        # Its words quote what they can't read, and that is a part of the token.
        raise _unusable("the claims of the identity token can't be read", where) from None
    if not isinstance(claims, dict):
        raise _unusable("the claims of the identity token are no JSON object", where)
    return claims


def _read_time(claims: dict[str, object], name: str, where: str) -> datetime | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**33:
        raise _unusable(f"the identity token's `{name}` is no time", where)
    return datetime.fromtimestamp(value, UTC)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= MAX_CLAIM_CHARACTERS else None


def _unusable(cause: str, where: str) -> TokenUnusable:
    return TokenUnusable(
        cause, where=where, fix=f"get a new token for the audience `{AUDIENCE}`, and sign within its few minutes"
    )
