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
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from policyd.attestation.blobs import BlobSignature, HashedFile, verify_blob
from policyd.attestation.bundle import Bundle, MessageSignature, signature_of
from policyd.attestation.dsse import Envelope
from policyd.attestation.findings import DirectVerification, Findings, Signer, State, refused
from policyd.attestation.keys import DigestName, PublicKey, is_signed_by
from policyd.attestation.material import BundleVersion
from policyd.attestation.names import (
    PEP740_FORM,
    PYPI_PUBLISH,
    NpmPackage,
    needs_npm_package,
    require_one_distribution,
    require_same_name,
)
from policyd.attestation.subjects import Digests, Subject, read_statement
from policyd.errors import DocumentError, PolicydError, SignatureInvalid, SubjectMismatch
from policyd.models.statement import PAYLOAD_TYPE

# A key alone needs nothing of what keyless signatures do, and importing that would take a tenth of its command.
if TYPE_CHECKING:
    from policyd.attestation.keyless.identity import AskedIdentity
    from policyd.attestation.keyless.leaf import Leaf
    from policyd.attestation.keyless.trusted_root import TrustedRoot

_STRONGER: tuple[DigestName, ...] = ("sha384", "sha512")


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
    """A file to verify, by its digests; of a file whose bytes are at hand also how it begins, and what is in it."""

    name: str
    digests: Digests
    content: bytes | None = None
    begins_as_envelope: bool = False
    is_named: bool = True  # a digest alone names no file
    package: NpmPackage | str | None = None  # or why it is none; None where nobody looked


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


def needs_package(bundle: Bundle) -> bool:
    """Say whether verifying `bundle` compares which npm package a file is."""
    return isinstance(bundle.content, Envelope) and needs_npm_package(bundle.content.payload)


def verify_direct(
    bundle: Bundle, asked: Asked, files: Sequence[ArtifactFile], *, now: datetime, where: str
) -> DirectVerification:
    """Return what the checks found when `bundle` was verified for `files`: one file, or all those of a folder.

    Raises nothing of its own: what fails is the last check listed, with its error.
    """
    found = Findings()
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
    bundle: Bundle, asked: Asked, files: Sequence[ArtifactFile], now: datetime, found: Findings, where: str
) -> None:
    """Make the checks in order, each only when those before it held; one that fails raises at its `found.number`."""
    trust, content, signature = asked.trust, bundle.content, signature_of(bundle)

    # 1. The version: an older one lets a bundle promise less. A bare envelope has none, and brings nothing but itself.
    found.number = 1
    if bundle.version is not None and bundle.version < asked.oldest:
        what = f"{bundle.form}, which promises as much as " if bundle.form else ""
        raise refused(
            f"it is {what}a Sigstore bundle {bundle.version}, and {asked.oldest} is the oldest that counts", where
        )
    if isinstance(content, Envelope) and len(content.signatures) != 1:
        raise refused(f"the envelope has {len(content.signatures)} signatures, where one signer is asked for", where)
    if bundle.form:
        found.note(bundle.form)
    else:
        found.note(
            "a DSSE envelope without a bundle" if bundle.version is None else f"Sigstore bundle {bundle.version}"
        )

    # 2. What is signed: the payload type is compared before anything looks at the payload.
    found.number = 2
    if isinstance(content, Envelope):
        if asked.predicate_type is None:
            raise refused("it is an attestation, and the signature of a file is asked for", where)
        if content.payload_type != PAYLOAD_TYPE:
            raise refused(f"the payload type is {content.payload_type}, not {PAYLOAD_TYPE}", where)
        found.note("an in-toto attestation")
    else:
        if asked.predicate_type is not None:
            raise refused("it is the signature of a file, and an attestation is asked for", where)
        found.note("the signature of a file")

    # 3. The key: the one given, or the one in a certificate that is for signing code. Never one where the other is
    #    asked for.
    found.number = 3
    leaf = None
    if isinstance(trust, KeyTrust):
        if bundle.material.certificates:
            raise refused("the bundle names its signer by a certificate, and a key is asked for", where)
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

    # 5 to 10. What a trusted root has to say of the signature and its signer.
    found.signer = Signer(key.sha256, key.describe())
    if trust.root is None:
        _note_what_is_not_looked_at(bundle, found)
    else:
        from policyd.attestation.keyless.instance import verify_by_instance

        identity = trust.identity if isinstance(trust, IdentityTrust) else None
        verify_by_instance(
            bundle, trust.root, leaf or key, identity, signed, found, now=now, where=where, may_lack_logs=True
        )

    # 11 and 12. The statement, parsed from the bytes that were verified, and what it speaks of. A file's signature
    #    speaks of the file that it was verified with.
    if isinstance(content, Envelope):
        found.number = 11
        statement, subjects = read_statement(content.payload, where=where)
        found.predicate_type = statement.predicate_type
        if asked.predicate_type and statement.predicate_type != asked.predicate_type:
            raise refused(
                f"the attestation is of the type {statement.predicate_type}, not {asked.predicate_type}", where
            )
        if asked.predicate_type:
            found.note(statement.predicate_type)
        else:
            found.note(f"{statement.predicate_type}; any type was asked for", State.WEAKENED)
        found.number = 12
        is_pypis = statement.predicate_type == PYPI_PUBLISH or bundle.form == PEP740_FORM
        if is_pypis:
            require_one_distribution(subjects, where=where)
        matched = _find_subjects(subjects, files, where)
        found.files = frozenset(matched)
        compared = [
            require_same_name(
                matched[one.name],
                one.name if one.is_named else None,
                one.package,
                strict=is_pypis,
                where=where,
            )
            for one in files
            if one.name in matched
        ]
        less = sorted({reason for reason in compared if reason is not None})
        found.note("; ".join([_describe_files(files, found.files), *less]), State.WEAKENED if less else State.HELD)
    else:
        found.number = 12
        found.files = frozenset({file.name})
        found.note(_describe_files(files, found.files))


def _read_signer(bundle: Bundle, where: str) -> Leaf:
    from policyd.attestation.keyless.leaf import read_leaf

    if not bundle.material.certificates:
        raise refused("the bundle has no certificate, and an identity is asked for", where)
    return read_leaf(bundle.material.certificates[0], where=where)


def _note_what_is_not_looked_at(bundle: Bundle, found: Findings) -> None:
    for number, what in ((5, len(bundle.material.entries)), (7, len(bundle.timestamps))):
        if what:
            found.number = number
            found.note(f"{what} in the bundle, not looked at: no trusted root was given", State.SKIPPED)


def _find_signed_file(
    signed: MessageSignature, files: Sequence[ArtifactFile], found: Findings, where: str
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
        raise refused(
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


def _find_subjects(
    subjects: Sequence[Subject], files: Sequence[ArtifactFile], where: str
) -> Mapping[str, Sequence[Subject]]:
    """Return the subjects that each file is, by its name, for those that are any; at least one has to be."""
    by_digest: dict[tuple[str, bytes], list[Subject]] = {}
    for subject in subjects:
        for key in subject.digests.items():
            by_digest.setdefault(key, []).append(subject)
    matched: dict[str, Sequence[Subject]] = {}
    for file in files:
        mine = [one for key in file.digests.items() for one in by_digest.get(key, ()) if one.is_of(file.digests)]
        if mine:
            matched[file.name] = mine
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


def _not_signed(key: PublicKey, where: str) -> SignatureInvalid:
    return SignatureInvalid(
        f"not signed by the key sha256:{key.sha256}, or changed since",
        where=where,
        fix="check that this is the signer's key, and get the bundle again",
    )
