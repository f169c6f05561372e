"""A trust policy as a signed document, and the way from one version to the next.

The document is YAML. Its name is the SHA-256 of these bytes, whether it lies there bare or as the payload of a DSSE
envelope, so signatures can be added without giving it another name. What is signed are the bytes that were read by
whoever signed them.

A new version counts where enough trust authors of the version before it *and* enough of its own signed it. The first
keeps everybody else from making one, the second shows that those who are to make the next one can. Versions are walked
one by one, so that nobody can step over one that took a key away. When a version on the way expired does not matter;
the last one has to be in force.

Source: TUF specification 1.0.34, section 5.3 ("Update the root role") and section 6.1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from policyd.attestation.dsse import Envelope, envelope_from_json, envelope_to_json
from policyd.attestation.trust import require_may_sign, require_signers
from policyd.attestation.trust_policy import MAX_TRUST_POLICY_BYTES, read_trust_policy
from policyd.errors import DocumentError, IdentityNotTrusted, VerificationFailed
from policyd.models.base import Sha256, rfc3339
from policyd.models.canonical import sha256_hex
from policyd.models.strict_json import read_json
from policyd.models.trust import TRUST_POLICY_TYPE, Role, TrustPolicy
from policyd.pipeline.yaml_reader import read_yaml

MAX_DOCUMENT_BYTES = 2 * MAX_TRUST_POLICY_BYTES  # as base64, with signatures
MAX_VERSIONS = 1024  # in one walk

#: The checks of each step, and the last one of where the walk ends. docs/trust.md says the same.
CHECKS: Mapping[int, str] = {
    1: "it is a trust policy that somebody signed",
    2: "it is the next version of the one that is pinned",
    3: "its version is the next, and none was left out",
    4: "enough trust authors of the version before signed it",
    5: "enough of its own trust authors signed it",
    6: "it has not expired",
}


@dataclass(frozen=True, slots=True)
class TrustDocument:
    """A trust policy as it was found, with whatever signatures there are. Nothing in here is verified."""

    source: str
    envelope: Envelope  # without signatures where the file is the bare document
    trust: TrustPolicy

    @property
    def sha256(self) -> Sha256:
        """The document's name."""
        return sha256_hex(self.envelope.payload)

    @property
    def signed(self) -> bool:
        """Whether anybody signed it."""
        return bool(self.envelope.signatures)


def read_trust_document(content: bytes, *, where: str) -> TrustDocument:
    """Return the trust policy in `content`: YAML, or an envelope with it.

    Raises `DocumentError` or `SettingsError` for anything else, as `read_trust_policy` does.
    """
    # 1. The envelope, where there is one. JSON is YAML too, and no field of a trust policy is called so.
    envelope = Envelope(content, TRUST_POLICY_TYPE, ())
    if content[:1] == b"{" and b'"payloadType"' in content:
        value = read_json(content, where=where, max_bytes=MAX_DOCUMENT_BYTES, max_depth=8, max_parts=256)
        envelope = envelope_from_json(value, where=where)
        if envelope.payload_type != TRUST_POLICY_TYPE:
            raise DocumentError(
                f"the payload type is {envelope.payload_type}, not {TRUST_POLICY_TYPE}",
                where=where,
                fix="give a trust policy: YAML, or as `policyd trust sign` wrote it",
            )
    # 2. The document, parsed from the very bytes that are named and signed.
    value = read_yaml(envelope.payload, where=where, max_bytes=MAX_TRUST_POLICY_BYTES)
    trust = read_trust_policy(json.dumps(value, ensure_ascii=False).encode(), where=where)
    return TrustDocument(where, envelope, trust)


def render_envelope(envelope: Envelope) -> bytes:
    """Return the file of a signed trust policy: DSSE JSON with a line for each signature."""
    return json.dumps(envelope_to_json(envelope), indent=1).encode() + b"\n"


def verify_own_signatures(document: TrustDocument, *, now: datetime) -> frozenset[str]:
    """Return the trust authors of a document who signed it, if they are enough for its own threshold (check 5)."""
    return _verify_signers(5, document, document.trust, now)


def verify_successor(current: TrustPolicy, document: TrustDocument, *, now: datetime) -> TrustDocument:
    """Return `document` if it is the version after `current` (checks 1 to 5); else raise `VerificationFailed`.

    Whether it has expired is not asked: a later version may follow.
    """
    trust, where = document.trust, document.source

    # 1. Signed at all, as what it is. `read_trust_document` compared the payload type.
    if not document.signed:
        _fail(1, "nobody signed it", where, "have it signed: policyd trust sign FILE --key KEY")

    # 2. The same trust policy: a signature for one is none for another.
    if trust.name != current.name:
        _fail(2, f"it is {trust.name!r}, and {current.name!r} is pinned", where, "get the trust policy of that name")

    # 3. Exactly one version on: never back, and none left out.
    if trust.version != current.version + 1:
        older = trust.version <= current.version
        cause = f"it is version {trust.version}, and version {current.version} {'was there before' if older else 'is'}"
        _fail(
            3,
            cause if older else f"{cause} the newest before it",
            where,
            "an old version was put in the place of a new one: find out who did" if older
            else f"hand in version {current.version + 1} as well",
        )  # fmt: skip

    # 4. By the authority of the version before, and of that alone.
    _verify_signers(4, document, current, now)

    # 5. By its own: who makes the next one can.
    _verify_signers(5, document, trust, now)
    return document


def roll_forward(
    pinned: TrustDocument, offered: Sequence[TrustDocument], *, now: datetime
) -> tuple[TrustDocument, ...]:
    """Return the versions that lead from `pinned` to the newest of `offered`, verified, in order.

    Empty where the newest is the one that is pinned already. Raises `VerificationFailed` with the number of the check
    where anything on the way does not hold: then nothing of it counts.
    """
    newest = max(offered, key=lambda document: document.trust.version)
    # 3. Never back; and one version is one content.
    if newest.trust.name == pinned.trust.name:
        if newest.trust.version < pinned.trust.version:
            _fail(
                3,
                f"it is version {newest.trust.version}, and version {pinned.trust.version} is pinned",
                newest.source,
                "an old version was put in the place of a new one: find out who did",
            )
        if newest.trust.version == pinned.trust.version:
            if newest.sha256 != pinned.sha256:
                _fail(
                    3,
                    f"it is another document with the version {pinned.trust.version}, which is pinned",
                    newest.source,
                    "one version is one content: whoever changed it has to make the next version",
                )
            return ()

    versions: dict[int, TrustDocument] = {}
    for document in offered:
        other = versions.setdefault(document.trust.version, document)
        if other.sha256 != document.sha256:
            _fail(
                3,
                f"there are two documents with the version {document.trust.version}",
                f"{other.source} and {document.source}",
                "find out which one its authors made, and leave the other away",
            )
    if newest.trust.version - pinned.trust.version > MAX_VERSIONS:
        _fail(3, f"it is more than {MAX_VERSIONS} versions ahead", newest.source, "pin one in between first")
    walked = [pinned]
    while walked[-1] is not newest:
        # The next number, else the newest: check 3 says then what is missing.
        step = versions.get(walked[-1].trust.version + 1, newest)
        walked.append(verify_successor(walked[-1].trust, step, now=now))

    # 6. What counts from now on is in force: an expired one would keep everybody where they are (a freeze).
    require_unexpired(newest, now=now)
    return tuple(walked[1:])


def require_unexpired(document: TrustDocument, *, now: datetime) -> None:
    """Raise `VerificationFailed` where the document has expired (check 6)."""
    expires_at = document.trust.expires_at
    if expires_at is not None and now >= expires_at:
        _fail(
            6,
            f"version {document.trust.version} expired at {rfc3339(expires_at)}",
            document.source,
            "get the current version from whoever maintains it",
        )


def _verify_signers(number: int, document: TrustDocument, by: TrustPolicy, now: datetime) -> frozenset[str]:
    """Return the trust authors of `by` who signed `document`, if they are enough."""
    where = document.source
    policy = by.roles.get(Role.TRUST_AUTHOR)
    if policy is None:
        _fail(
            number,
            f"version {by.version} lists no trust author, so nobody can sign for it",
            where,
            f"add roles.{Role.TRUST_AUTHOR}, and pin that version by its digest in operator settings",
            IdentityNotTrusted,
        )
    try:
        require_may_sign(Role.TRUST_AUTHOR, policy, TRUST_POLICY_TYPE, where=where)
        persons, _ = require_signers(document.envelope, by, role=Role.TRUST_AUTHOR, policy=policy, now=now, where=where)
    except VerificationFailed as error:
        _fail(number, f"{error.cause}, by version {by.version}", where, error.fix, type(error))
    return persons


def _fail(
    number: int, cause: str, where: str, fix: str, kind: type[VerificationFailed] = VerificationFailed
) -> NoReturn:
    raise kind(f"check {number}, {CHECKS[number]}: {cause}", where=where, fix=fix)
