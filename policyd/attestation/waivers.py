"""Waivers as evidence: a statement that its requester and its approvers signed.

A waiver is one file: a DSSE envelope with the statement and every signature on it, the requester's first. Persons who
approve one after the other on different machines add a signature to the same bytes; a Sigstore bundle has room for one
(docs/adr/0010-waivers-are-envelopes.md). The role of a key says what its signature means: a requester asks, a waiver
approver grants. A revocation is a bundle of its own, and one waiver approver is enough for it.

The statement's SHA-256 is the waiver's name. Nothing of a waiver is believed for where its file lies.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from policyd.attestation.bundle import read_attestation
from policyd.attestation.dsse import Envelope, Signature, envelope_from_json, envelope_to_json
from policyd.attestation.keys import is_signed_by, read_public_key
from policyd.attestation.signing import Signer
from policyd.attestation.statements import Named, render_statement
from policyd.attestation.trust import VerifiedStatement, verify_envelope
from policyd.attestation.trust_policy import keys_in_force
from policyd.errors import DocumentError, PolicydError, SettingsError, ThresholdNotMet, WaiverUnusable
from policyd.models.base import Sha256, rfc3339
from policyd.models.canonical import sha256_hex
from policyd.models.decision import WaiverState
from policyd.models.statement import PAYLOAD_TYPE, WAIVER_REVOCATION_V1, WAIVER_V1, Statement
from policyd.models.strict_json import read_json, read_model
from policyd.models.trust import Role, TrustPolicy
from policyd.models.waiver import UNVERIFIED, Revocation, Waiver

MAX_WAIVER_BYTES = 64 * 1024  # a statement with the longest reason and message, and sixteen signatures
MAX_WAIVER_DEPTH = 80  # `at` is a list; statements hold nothing deep
DEFAULT_MAX_DAYS = 90


@dataclass(frozen=True, slots=True)
class ReadWaiver:
    """A waiver as it was found. Nothing in here is verified."""

    source: str
    content: bytes
    envelope: Envelope
    waiver: Waiver

    @property
    def sha256(self) -> Sha256:
        """The waiver's name: the digest of its statement."""
        return sha256_hex(self.envelope.payload)

    @property
    def evidence_sha256(self) -> Sha256:
        """The digest of the file."""
        return sha256_hex(self.content)


@dataclass(frozen=True, slots=True)
class ReadRevocation:
    """A revocation as it was found. Nothing in here is verified."""

    source: str
    content: bytes
    envelope: Envelope
    revocation: Revocation


@dataclass(frozen=True, slots=True)
class WaiverTerms:
    """Under what a waiver counts: whose signatures, for how long at most, and what was revoked."""

    trust: TrustPolicy
    max_days: int = DEFAULT_MAX_DAYS
    revoked: Mapping[Sha256, str] | None = None  # waiver → why


@dataclass(frozen=True, slots=True)
class VerifiedWaiver:
    """A waiver that counts at the moment it was verified for. Built by `verify_waiver` alone."""

    waiver: Waiver
    sha256: Sha256  # of the statement that was signed: the waiver's name
    evidence_sha256: Sha256  # of the file with its signatures
    source: str  # where it was found
    requested_by: frozenset[str]
    approved_by: frozenset[str]


def read_waiver_file(content: bytes, *, where: str) -> ReadWaiver | ReadRevocation:
    """Return the waiver or revocation in a file; `DocumentError` for anything else."""
    # 1. Bounds and strict JSON.
    value = read_json(content, where=where, max_bytes=MAX_WAIVER_BYTES, max_depth=MAX_WAIVER_DEPTH)

    # 2. An envelope: bare with any number of signatures, or in a bundle.
    if isinstance(value, dict) and "payloadType" in value:
        envelope = envelope_from_json(value, where=where, unsigned=True)
    else:
        envelope = read_attestation(content, where=where)
    if envelope.payload_type != PAYLOAD_TYPE:
        raise _malformed(f"the payload type is {envelope.payload_type}", where)

    # 3. A statement of one of our two types, about exactly what its predicate binds.
    statement = read_model(
        Statement, envelope.payload, where=where, max_bytes=MAX_WAIVER_BYTES, max_depth=MAX_WAIVER_DEPTH
    )
    predicate = json.dumps(statement.predicate).encode()
    most = 2 * MAX_WAIVER_BYTES  # of the predicate, written anew
    if statement.predicate_type == WAIVER_REVOCATION_V1:
        revocation = read_model(Revocation, predicate, where=where, max_bytes=most, max_depth=MAX_WAIVER_DEPTH)
        _require_subject(statement, revocation.waiver_sha256, where)
        return ReadRevocation(where, content, envelope, revocation)
    if statement.predicate_type != WAIVER_V1:
        raise _malformed(f"the statement is {statement.predicate_type}, not a waiver", where)
    waiver = read_model(Waiver, predicate, where=where, max_bytes=most, max_depth=MAX_WAIVER_DEPTH)
    _require_subject(statement, waiver.bound_sha256, where)
    return ReadWaiver(where, content, envelope, waiver)


def verify_waiver(read: ReadWaiver, terms: WaiverTerms, *, now: datetime) -> VerifiedWaiver:
    """Return the waiver if it counts at `now`; raise `WaiverUnusable`, which says in which state it is, if not."""
    where = read.source

    # 1. Not revoked: that wins over everything that is signed.
    if terms.revoked and read.sha256 in terms.revoked:
        raise _unusable(f"it was revoked: {terms.revoked[read.sha256]}", where, WaiverState.REVOKED)

    # 2. Whoever asked is known: without that, nobody can be shown to be somebody else.
    _, rest = _split(read.envelope, terms.trust)
    requesters = verify_requester(read, terms, now=now)
    waiver = requesters.read_predicate(Waiver, where=where)

    # 3. For no longer than the operator lets waivers last, counted from the request on.
    require_within(waiver, terms.max_days, where=where)

    # 4. As many waiver approvers as the trust policy asks for, each a person who did not ask for it. The signatures of
    #    requesters are left out first: asking is not granting.
    try:
        approved = verify_envelope(rest, terms.trust, role=Role.WAIVER_APPROVER, now=now, where=where)
        approvers = approved.signers - requesters.signers
        wanted = terms.trust.roles[Role.WAIVER_APPROVER].threshold
        if not approvers:
            raise _unusable(
                f"only {', '.join(sorted(approved.signers))} signed, who requested it", where, WaiverState.INVALID
            )
        if len(approvers) < wanted:
            raise ThresholdNotMet(
                f"{len(approvers)} of the {wanted} required persons approved ({', '.join(sorted(approvers))})",
                where=where,
                fix="ask another waiver approver, who is not the requester",
            )
    except PolicydError as error:
        raise _explain_approval(error, rest, waiver, where, now) from error
    assert read.envelope.payload == requesters.payload == approved.payload

    # 5. Its time.
    if now < waiver.not_before:
        raise _unusable(f"it is valid from {rfc3339(waiver.not_before)} on", where, WaiverState.NOT_YET_VALID)
    if now >= waiver.expires_at:
        raise _unusable(f"it expired at {rfc3339(waiver.expires_at)}", where, WaiverState.EXPIRED)
    return VerifiedWaiver(
        waiver=waiver,
        sha256=sha256_hex(requesters.payload),
        evidence_sha256=read.evidence_sha256,
        source=read.source,
        requested_by=requesters.signers,
        approved_by=approvers,
    )


def verify_requester(read: ReadWaiver, terms: WaiverTerms, *, now: datetime) -> VerifiedStatement:
    """Return the statement as its requester signed it; raise `WaiverUnusable` where nobody vouches for who asked."""
    asked, _ = _split(read.envelope, terms.trust)
    if not asked.signatures:
        cause = f"nobody vouches for {read.waiver.requested_by}, who is said to have requested it"
        if read.waiver.requested_by == UNVERIFIED:
            cause = "its request is not signed"
        cause += ", or it was changed since" if read.envelope.signatures else ""
        raise _unusable(f"{cause}: nobody can be shown to be somebody else", read.source, WaiverState.INVALID)
    try:
        verified = verify_envelope(asked, terms.trust, role=Role.REQUESTER, now=now, where=read.source)
    except PolicydError as error:
        raise _unusable(f"its request: {error.cause}", read.source, WaiverState.INVALID) from error
    if read.waiver.requested_by not in verified.signers:
        raise _unusable(
            f"it says that {read.waiver.requested_by} requested it, and {', '.join(sorted(verified.signers))} signed",
            read.source,
            WaiverState.INVALID,
        )
    return verified


def verify_revocation(read: ReadRevocation, trust: TrustPolicy) -> str:
    """Return why the waiver was revoked, in words; raise `WaiverUnusable` if no waiver approver signed that.

    A key that has expired or was revoked since still counts: what it took back must not come to life again. Holding one
    lets somebody deny, never allow.
    """
    policy = trust.roles.get(Role.WAIVER_APPROVER)
    message = read.envelope.signed_bytes()
    listed = () if policy is None else policy.keys
    persons = sorted({key.person for key in listed if _is_signed(read.envelope, key.public_key, message)})
    if not persons:
        raise _unusable("no waiver approver signed this revocation", read.source, WaiverState.INVALID)
    return f"by {' and '.join(persons)}: {read.revocation.reason}"


def find_approvers(read: ReadWaiver, trust: TrustPolicy, *, now: datetime) -> frozenset[str]:
    """Return the persons whose approval is on the waiver and in force, enough of them or not."""
    message = read.envelope.signed_bytes()
    keys = keys_in_force(trust, Role.WAIVER_APPROVER, now=now)
    return frozenset(key.person for key in keys if _is_signed(read.envelope, key.public_key, message))


def require_within(waiver: Waiver, max_days: int, *, where: str) -> None:
    """Raise `WaiverUnusable` where the waiver would last longer than the operator allows."""
    if waiver.expires_at - waiver.requested_at > timedelta(days=max_days):
        days = (waiver.expires_at - waiver.requested_at).days
        raise _unusable(
            f"it would last {days} days from its request on, and at most {max_days} are allowed",
            where,
            WaiverState.INVALID,
        )


def waiver_statement(waiver: Waiver) -> bytes:
    """Return the statement of a waiver. Its subject is the part of the file or the artifact that it is for."""
    subject = Named(waiver.bound_name, waiver.bound_sha256)
    return render_statement([subject], WAIVER_V1, waiver.model_dump(mode="json", exclude_none=True))


def revocation_statement(revocation: Revocation) -> bytes:
    """Return the statement of a revocation. Its subject is the waiver."""
    subject = Named("waiver", revocation.waiver_sha256)
    return render_statement([subject], WAIVER_REVOCATION_V1, revocation.model_dump(mode="json", exclude_none=True))


def add_signature(envelope: Envelope, signer: Signer) -> Envelope:
    """Return `envelope` with one signature more, over exactly the bytes that are in it."""
    signature = Signature(value=signer.sign(envelope.signed_bytes()))
    return Envelope(envelope.payload, envelope.payload_type, (*envelope.signatures, signature))


def unsigned_envelope(payload: bytes) -> Envelope:
    """Return the envelope of a statement that nobody has signed yet."""
    return Envelope(payload=payload, payload_type=PAYLOAD_TYPE, signatures=())


def render_waiver(envelope: Envelope) -> bytes:
    """Return the file of a waiver: DSSE JSON with a line for each signature, so that two that were added merge."""
    return json.dumps(envelope_to_json(envelope), indent=1).encode() + b"\n"


def _split(envelope: Envelope, trust: TrustPolicy) -> tuple[Envelope, Envelope]:
    """Return the envelope with the signatures of requesters alone, and with all others."""
    policy = trust.roles.get(Role.REQUESTER)
    message = envelope.signed_bytes()
    keys = [] if policy is None else [read_public_key(key.public_key, where="trust policy") for key in policy.keys]
    asked = tuple(
        signature
        for signature in envelope.signatures
        if any(is_signed_by(key, signature.value, message) for key in keys)
    )
    rest = tuple(signature for signature in envelope.signatures if signature not in asked)
    return (
        Envelope(envelope.payload, envelope.payload_type, asked),
        Envelope(envelope.payload, envelope.payload_type, rest),
    )


def _is_signed(envelope: Envelope, pem: str, message: bytes) -> bool:
    key = read_public_key(pem, where="trust policy")
    return any(is_signed_by(key, signature.value, message) for signature in envelope.signatures)


def _explain_approval(error: PolicydError, rest: Envelope, waiver: Waiver, where: str, now: datetime) -> PolicydError:
    """Return why a waiver is not approved: nobody did yet, too few did, or what was signed does not count."""
    if isinstance(error, WaiverUnusable | SettingsError):
        return error
    waiting = not rest.signatures or isinstance(error, ThresholdNotMet)
    if waiting and now >= waiver.expires_at:
        return _unusable(f"it expired at {rfc3339(waiver.expires_at)}, unapproved", where, WaiverState.EXPIRED)
    cause = "nobody has approved it yet" if not rest.signatures else error.cause
    return _unusable(cause, where, WaiverState.REQUESTED if waiting else WaiverState.INVALID)


def _require_subject(statement: Statement, sha256: Sha256, where: str) -> None:
    digests = [(subject.digest or {}).get("sha256") for subject in statement.subject]
    if digests != [sha256]:
        raise _malformed("the statement's subject is not what the waiver is for", where)


def _unusable(cause: str, where: str, state: WaiverState) -> WaiverUnusable:
    return WaiverUnusable(
        cause, where=where, fix="`policyd waiver list` shows all; ask for a new one where needed", state=state.value
    )


def _malformed(cause: str, where: str) -> DocumentError:
    return DocumentError(cause, where=where, fix="remove it, or make a waiver with `policyd waiver request`")
