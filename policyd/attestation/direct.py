"""Verification with trust that is given directly: a public key, or an identity under a pinned trusted root.

One bundle against one artifact, in twelve checks that stand in order in `_verify` and are numbered the same in every
answer and in docs/verifying.md. A check that does not apply (a managed key has no certificate) is not listed; one that
could have been made and was not is listed as skipped, and one that found less than it could have as weakened.

Nothing is fetched and nothing here reads settings. What a bundle brings is compared, never trusted.

Source: sigstore client specification, "Verification"; DSSE v1.0.2; in-toto Attestation Framework v1.2.0, validation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from policyd.attestation.blobs import BlobSignature, HashedFile, verify_blob
from policyd.attestation.bundle import Bundle, MessageSignature, signature_of
from policyd.attestation.dsse import Envelope
from policyd.attestation.keyless.certificate_log import verify_certificate_timestamps
from policyd.attestation.keyless.entry_body import Logged, verify_entry_body
from policyd.attestation.keyless.identity import AskedIdentity, require_identity
from policyd.attestation.keyless.leaf import Leaf, read_leaf
from policyd.attestation.keyless.log_entry import require_in_window, require_log, verify_inclusion, verify_promise
from policyd.attestation.keyless.trusted_root import TrustedRoot
from policyd.attestation.keyless.x509 import find_path, read_certificate, require_path
from policyd.attestation.keys import DigestName, PublicKey, is_signed_by
from policyd.attestation.material import BundleVersion
from policyd.attestation.subjects import Digests, Subject, read_statement
from policyd.attestation.timestamps import verify_time
from policyd.errors import (
    DocumentError,
    ExitCode,
    IdentityNotTrusted,
    PolicydError,
    SignatureInvalid,
    SubjectMismatch,
    VerificationFailed,
)
from policyd.models.base import rfc3339
from policyd.models.statement import PAYLOAD_TYPE

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_STRONGER: tuple[DigestName, ...] = ("sha384", "sha512")
#: The checks by number. docs/verifying.md says what each asks and why.
CHECKS: Mapping[int, str] = {
    1: "the bundle is of a version that counts",
    2: "it signs what is asked for",
    3: "the signer's key is one that counts",
    4: "the signature is the signer's",
    5: "a trusted log has the signature",
    6: "the log entry is of this bundle",
    7: "the time of signing is proven",
    8: "a trusted authority issued the certificate, valid at that time",
    9: "a public log has seen the certificate",
    10: "the signer is who is asked for",
    11: "the statement can be read and is of the type asked for",
    12: "it speaks of this artifact",
}
#: How far a proven time may lie ahead of this machine's clock: clocks differ by seconds, not by hours.
CLOCK_TOLERANCE = timedelta(minutes=5)


class State(StrEnum):
    """What became of a check."""

    HELD = "held"
    FAILED = "failed"
    WEAKENED = "weakened"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class DirectCheck:
    """One check that was made, or could have been: its number, what it asks, what became of it, what was found."""

    number: int
    name: str
    state: State
    detail: str

    @property
    def passed(self) -> bool:
        """Whether it stands in nobody's way."""
        return self.state is not State.FAILED


@dataclass(frozen=True, slots=True)
class KeyTrust:
    """Who has this key is trusted. With a trusted root, log entries and timestamps have to hold as well."""

    key: PublicKey
    root: TrustedRoot | None = None


@dataclass(frozen=True, slots=True)
class IdentityTrust:
    """Who had this identity when signing is trusted, by the word of what the trusted root lists."""

    identity: AskedIdentity
    root: TrustedRoot


@dataclass(frozen=True, slots=True)
class Asked:
    """What has to hold. `predicate_type` is None where the signature of a file is asked for, "" for any attestation."""

    trust: KeyTrust | IdentityTrust
    predicate_type: str | None = None
    oldest: BundleVersion = BundleVersion.V0_1


@dataclass(frozen=True, slots=True)
class ArtifactFile:
    """A file to verify, by its digests; of a file whose bytes are at hand also how it begins, and its content."""

    name: str
    digests: Digests
    content: bytes | None = None
    begins_as_envelope: bool = False


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signed, once that is verified. `facts` are what the certificate's issuer says of the workflow."""

    key_sha256: str
    key_kind: str
    identity: str | None = None
    issuer: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DirectVerification:
    """What verifying one bundle found. Where it did not hold, there is nothing but `checks` and `error`."""

    checks: tuple[DirectCheck, ...]
    error: PolicydError | None = None
    signer: Signer | None = None
    times: tuple[tuple[datetime, str], ...] = ()
    log_entries: tuple[tuple[str, int], ...] = ()
    predicate_type: str | None = None
    files: frozenset[str] = frozenset()

    @property
    def verified(self) -> bool:
        """True where every check was made that applies, and none failed."""
        return self.error is None and bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def exit_code(self) -> ExitCode:
        """How it ended."""
        if self.error is not None:
            return self.error.exit_code
        return ExitCode.OK if self.verified else ExitCode.REFUSED


@dataclass(slots=True)
class _Found:
    """What has been found so far; the number is that of the check being made."""

    checks: list[DirectCheck] = field(default_factory=list)
    number: int = 0
    signer: Signer | None = None
    times: list[tuple[datetime, str]] = field(default_factory=list)
    log_entries: list[tuple[str, int]] = field(default_factory=list)
    predicate_type: str | None = None
    files: frozenset[str] = frozenset()

    def note(self, detail: str, state: State = State.HELD) -> None:
        self.checks.append(DirectCheck(self.number, CHECKS[self.number], state, detail))


def needed_digests(bundle: Bundle, asked: Asked) -> tuple[frozenset[DigestName], bool]:
    """Return the digests of the artifact that verifying `bundle` compares, and whether it needs the content itself."""
    names: set[DigestName] = {"sha256"}
    if isinstance(bundle.content, Envelope):
        # A statement is read only after its signature; whether a digest is named at all can be asked before.
        names |= {name for name in _STRONGER if name.encode() in bundle.content.payload}
        return frozenset(names), False
    if bundle.content.digest:
        names.add(bundle.content.algorithm)
    try:
        key = asked.trust.key if isinstance(asked.trust, KeyTrust) else _read_signer(bundle, "").key
    except PolicydError:
        return frozenset(names), False  # check 3 will say so
    if key.kind.digest is None:
        # An Ed25519 signature in a log is one of the SHA-512, and that is what the log entry names.
        return frozenset(names | {"sha512"}), True
    return frozenset(names | {key.kind.digest}), False


def verify_direct(
    bundle: Bundle, asked: Asked, files: Sequence[ArtifactFile], *, now: datetime, where: str
) -> DirectVerification:
    """Return what the checks found when `bundle` was verified for `files`: one file, or all those of a folder.

    Raises nothing of its own: what fails is the last check listed, with its error.
    """
    found = _Found()
    error = None
    try:
        _verify(bundle, asked, files, now, found, where)
    except PolicydError as refusal:
        error = refusal
        found.note(refusal.cause, State.FAILED)
    return DirectVerification(
        checks=tuple(found.checks),
        error=error,
        signer=found.signer if error is None else None,
        times=tuple(found.times) if error is None else (),
        log_entries=tuple(found.log_entries) if error is None else (),
        predicate_type=found.predicate_type if error is None else None,
        files=found.files if error is None else frozenset(),
    )


def _verify(
    bundle: Bundle, asked: Asked, files: Sequence[ArtifactFile], now: datetime, found: _Found, where: str
) -> None:
    """Make the checks in order, each only when those before it held; one that fails raises at its `found.number`."""
    trust, content, signature = asked.trust, bundle.content, signature_of(bundle)

    # 1. The version: an older one lets a bundle promise less. A bare envelope has none, and brings nothing but itself.
    found.number = 1
    if bundle.version is not None and bundle.version < asked.oldest:
        raise _refused(f"the bundle is {bundle.version}, and {asked.oldest} is the oldest that counts", where)
    if isinstance(content, Envelope) and len(content.signatures) != 1:
        raise _refused(f"the envelope has {len(content.signatures)} signatures, where one signer is asked for", where)
    found.note("a DSSE envelope without a bundle" if bundle.version is None else f"Sigstore bundle {bundle.version}")

    # 2. What is signed: the payload type is compared before anything looks at the payload.
    found.number = 2
    if isinstance(content, Envelope):
        if asked.predicate_type is None:
            raise _refused("it is an attestation, and the signature of a file is asked for", where)
        if content.payload_type != PAYLOAD_TYPE:
            raise _refused(f"the payload type is {content.payload_type}, not {PAYLOAD_TYPE}", where)
        found.note("an in-toto attestation")
    else:
        if asked.predicate_type is not None:
            raise _refused("it is the signature of a file, and an attestation is asked for", where)
        found.note("the signature of a file")

    # 3. The key: the one given, or the one in a certificate that is for signing code. Never one where the other is
    #    asked for.
    found.number = 3
    leaf = None
    if isinstance(trust, KeyTrust):
        if bundle.material.certificates:
            raise _refused("the bundle names its signer by a certificate, and a key is asked for", where)
        key = trust.key
        found.note(f"{key.describe()}, sha256:{key.sha256}")
    else:
        leaf = _read_signer(bundle, where)
        key = leaf.key
        found.note(f"{key.describe()}, in a certificate for signing code")

    # 4. The signature, over the pre-authentication encoding or over the file at hand.
    found.number = 4
    if isinstance(content, Envelope):
        signed_bytes = content.signed_bytes()
        if not is_signed_by(key, signature, signed_bytes, or_prehashed=True):
            raise _not_signed(key, where)
        signed: Digests = {name: hashlib.new(name, signed_bytes).digest() for name in ("sha256", *_STRONGER)}
        found.note("of the attestation")
    else:
        file = _find_signed_file(content, files, found, where)
        _require_signed_file(content, key, file, where)
        signed = file.digests
        found.note(f"of {file.name}")

    # 5 and 6. Every entry of a log: promised or proven by a log of the trusted root, and one of this very signature.
    root = trust.root
    _verify_log_entries(bundle, root, key, leaf, Logged(signature, b"", None, signed), found, where)

    # 7. The time of signing: by a log's promise, or by a timestamp authority. All that is there has to hold.
    found.number = 7
    _verify_times(bundle, root, signature, leaf is None, now, found, where)

    if isinstance(trust, IdentityTrust):
        assert leaf is not None
        # 8. The chain, at each of these times.
        found.number = 8
        issuer, name = _verify_chain(bundle, leaf, trust.root, [moment for moment, _ in found.times], where)
        found.note(f"{name}, for the time from {rfc3339(leaf.certificate.not_valid_before_utc)} "
                   f"to {rfc3339(leaf.certificate.not_valid_after_utc)}")  # fmt: skip

        # 9. The certificate's own log.
        found.number = 9
        found.note(verify_certificate_timestamps(leaf, issuer, trust.root, where=where))

        # 10. Who it is.
        found.number = 10
        require_identity(leaf, trust.identity, where=where)
        pattern = "" if trust.identity.pattern is None else f", which {trust.identity.pattern} takes in"
        found.note(f"{leaf.identity} at {leaf.issuer}{pattern}")
        found.signer = Signer(key.sha256, key.describe(), leaf.identity, leaf.issuer, leaf.facts)
    else:
        found.signer = Signer(key.sha256, key.describe())

    # 11 and 12. The statement, parsed from the bytes that were verified, and what it speaks of. A file's signature
    #    speaks of the file that it was verified with.
    if isinstance(content, Envelope):
        found.number = 11
        statement, subjects = read_statement(content.payload, where=where)
        found.predicate_type = statement.predicate_type
        if asked.predicate_type and statement.predicate_type != asked.predicate_type:
            raise _refused(
                f"the attestation is of the type {statement.predicate_type}, not {asked.predicate_type}", where
            )
        if asked.predicate_type:
            found.note(statement.predicate_type)
        else:
            found.note(f"{statement.predicate_type}; any type was asked for", State.WEAKENED)
        found.number = 12
        found.files = _find_subjects(subjects, files, where)
    else:
        found.number = 12
        found.files = frozenset({file.name})
    found.note(_describe_files(files, found.files))


def _read_signer(bundle: Bundle, where: str) -> Leaf:
    if not bundle.material.certificates:
        raise _refused("the bundle has no certificate, and an identity is asked for", where)
    return read_leaf(bundle.material.certificates[0], where=where)


def _find_signed_file(
    signed: MessageSignature, files: Sequence[ArtifactFile], found: _Found, where: str
) -> ArtifactFile:
    """Return the file that the bundle says it is for. That it is, the signature has to show."""
    if len(files) == 1:
        return files[0]
    for file in files:
        if signed.digest and file.digests.get(signed.algorithm) == signed.digest:
            return file
    found.number = 12
    raise SubjectMismatch(
        f"no file here is {signed.algorithm}:{signed.digest.hex()}" if signed.digest else "the bundle names no digest",
        where=where,
        fix="hand in the bundles of the files that are there",
    )


def _require_signed_file(signed: MessageSignature, key: PublicKey, file: ArtifactFile, where: str) -> None:
    # Such a file's signature would be one of an attestation too (docs/threats.md, T37).
    if file.begins_as_envelope:
        raise _refused(
            "the file begins as the bytes under an attestation do: its signature says nothing of a file", where
        )
    if key.kind.digest is not None and key.kind.digest not in file.digests:
        raise DocumentError(
            f"a key of the kind {key.kind} signs the {key.kind.digest} of a file, which was not given",
            where=where,
            fix="name the file itself",
        )
    if signed.digest and signed.algorithm not in file.digests:
        raise DocumentError(
            f"the bundle names the {signed.algorithm} of the file, which was not given",
            where=where,
            fix="name the file itself",
        )
    verify_blob(BlobSignature(signed, key), HashedFile(file.digests, file.content), where=where)


def _verify_log_entries(
    bundle: Bundle,
    root: TrustedRoot | None,
    key: PublicKey,
    leaf: Leaf | None,
    logged: Logged,
    found: _Found,
    where: str,
) -> None:
    entries = bundle.material.entries
    found.number = 5
    if root is None:
        if entries:
            found.note(f"{len(entries)} in the bundle, not looked at: no trusted root was given", State.SKIPPED)
        return
    if not entries:
        # A key's owner may log nothing; but then a trusted root that lists logs asks for what is not there.
        if leaf is None and not root.logs:
            found.note("the trusted root lists no log", State.SKIPPED)
            return
        raise _refused("the bundle has no log entry", where)
    if len({(entry.log_id, entry.log_index) for entry in entries}) != len(entries):
        raise _refused("the bundle has a log entry twice", where)

    # 5. Each in a log that counts: proven, or from a bundle v0.1 at least promised.
    details = []
    weak = False
    for entry in entries:
        log = require_log(entry, root, where=where)
        promised = verify_promise(entry, log, where=where)
        checkpoint = verify_inclusion(entry, log, where=where)
        if checkpoint is None and bundle.version is not BundleVersion.V0_1:
            raise _refused(f"a log entry has no inclusion proof, which a bundle {bundle.version} must have", where)
        if promised is None and bundle.version is BundleVersion.V0_1:
            raise _refused("a log entry has no promise, which a bundle v0.1 must have", where)
        if checkpoint is None:
            weak = True
            details.append(f"entry {entry.log_index} is promised by {log.url}, and not proven to be there")
        else:
            details.append(f"entry {entry.log_index} of {log.url}, under a checkpoint of {checkpoint.size} entries")
        if promised is not None:
            found.times.append((promised, f"the log {log.url}"))
        found.log_entries.append((log.url, entry.log_index))
    found.note("; ".join(details), State.WEAKENED if weak else State.HELD)

    # 6. Each of this signature, by this signer, over this content.
    found.number = 6
    signer = leaf.der if leaf is not None else _der_of(key)
    envelope = bundle.content if isinstance(bundle.content, Envelope) else None
    expected = Logged(logged.signature, signer, envelope, logged.signed)
    unbound = {verify_entry_body(entry, expected, where=where) for entry in entries} - {None}
    kinds = ", ".join(sorted({f"{entry.kind} {entry.version}" for entry in entries}))
    if unbound:
        found.note(f"{kinds}; {'; '.join(sorted(str(reason) for reason in unbound))}", State.WEAKENED)
    else:
        found.note(f"{kinds}: signature, signer and content")


def _verify_times(
    bundle: Bundle,
    root: TrustedRoot | None,
    signature: bytes,
    is_managed: bool,
    now: datetime,
    found: _Found,
    where: str,
) -> None:
    timestamps = bundle.timestamps
    if root is None:
        if timestamps:
            found.note(f"{len(timestamps)} timestamps, not looked at: no trusted root was given", State.SKIPPED)
        return
    if len(set(timestamps)) != len(timestamps):
        raise _refused("the bundle has a timestamp twice", where)
    for timestamp in timestamps:
        time = verify_time(timestamp, signature, root.timestamp_authorities)
        found.times.append((time.moment, f"the timestamp authority {time.authority}"))
    if not found.times:
        if is_managed:
            found.note("nothing shows when it was signed; a key given directly counts at any time", State.SKIPPED)
            return
        raise _refused(
            "nothing proves when it was signed: the log made no promise, and there is no timestamp "
            "(Rekor v2 gives no time, so its bundles need an RFC 3161 timestamp)",
            where,
        )
    for moment, source in found.times:
        if moment > now + CLOCK_TOLERANCE:
            raise _refused(
                f"{source} says {rfc3339(moment)}, which is after this machine's clock ({rfc3339(now)}): "
                "one of the two is wrong",
                where,
            )
        for entry in bundle.material.entries:
            log = require_log(entry, root, where=where)
            require_in_window(log, moment, where=where)
    found.note("; ".join(f"{rfc3339(moment)} by {source}" for moment, source in found.times))


def _verify_chain(
    bundle: Bundle, leaf: Leaf, root: TrustedRoot, moments: Sequence[datetime], where: str
) -> tuple[Certificate, str]:
    """Return the certificate that issued the leaf, and its authority's name, if the chain holds at all `moments`."""
    try:
        between = [read_certificate(der, where=where) for der in bundle.material.certificates[1:]]
    except DocumentError as error:
        raise _refused(error.cause, where) from error
    reasons: list[str] = []
    for authority in root.authorities:
        path = find_path(leaf.certificate, between, authority.certificates)
        if path is None:
            continue
        try:
            for moment in moments:
                if not authority.window.holds(moment):
                    window = authority.window.describe()
                    raise _refused(f"the authority {authority.name} counts {window}, not at {rfc3339(moment)}", where)
                require_path(leaf.certificate, path, moment, where=where)
        except VerificationFailed as error:
            reasons.append(error.cause)
            continue
        return path[0], authority.name
    raise IdentityNotTrusted(
        "; ".join(dict.fromkeys(reasons)) or "no authority of the trusted root issued the certificate",
        where=where,
        fix="compare the trusted root with the instance that the signer used",
    )


def _find_subjects(subjects: Sequence[Subject], files: Sequence[ArtifactFile], where: str) -> frozenset[str]:
    """Return the names of the files that are subjects; at least one has to be."""
    by_digest: dict[tuple[str, bytes], list[Subject]] = {}
    for subject in subjects:
        for key in subject.digests.items():
            by_digest.setdefault(key, []).append(subject)
    matched = frozenset(
        file.name
        for file in files
        if any(subject.is_of(file.digests) for key in file.digests.items() for subject in by_digest.get(key, ()))
    )
    if not matched:
        what = "a file here" if len(files) != 1 else f"{files[0].name} ({_describe_files(files, frozenset())})"
        raise SubjectMismatch(
            f"none of its {len(subjects)} subjects is {what}",
            where=where,
            fix="the file was changed, or the attestation is of another: get both again from where they were released",
        )
    return matched


def _describe_files(files: Sequence[ArtifactFile], matched: frozenset[str]) -> str:
    if len(files) != 1:
        return f"{len(matched)} of {len(files)} files"
    return ", ".join(f"{name}:{digest.hex()}" for name, digest in sorted(files[0].digests.items()))


def _der_of(key: PublicKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _not_signed(key: PublicKey, where: str) -> SignatureInvalid:
    return SignatureInvalid(
        f"not signed by the key sha256:{key.sha256}, or changed since",
        where=where,
        fix="check that this is the signer's key, and get the bundle again",
    )


def _refused(cause: str, where: str) -> VerificationFailed:
    return VerificationFailed(
        cause, where=where, fix="get the bundle again from its signer; or ask for what this bundle is"
    )
