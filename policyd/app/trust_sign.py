"""`policyd trust sign`: one trust author's signature on a trust policy, after looking at what it changes.

In two halves: `propose_signature` makes every check and returns what is to be shown, `add_signature` signs exactly the
bytes that were shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from policyd.adapters.output import read_input, write_output
from policyd.adapters.signers.loading import load_signer
from policyd.adapters.signers.new_file import write_new
from policyd.app.trust_files import read_document, require_pinned, signed_path
from policyd.attestation.dsse import MAX_SIGNATURES, Envelope, Signature
from policyd.attestation.keys import is_signed_by, read_public_key
from policyd.attestation.signing import Signer
from policyd.attestation.trust_chain import (
    MAX_DOCUMENT_BYTES,
    TrustDocument,
    render_envelope,
    require_unexpired,
    verify_own_signatures,
    verify_successor,
)
from policyd.attestation.trust_changes import describe_changes
from policyd.attestation.trust_policy import find_person_listed
from policyd.errors import KeyUnusable, UsageError, VerificationFailed
from policyd.models.trust import Role


@dataclass(frozen=True, slots=True)
class Proposal:
    """A trust policy that somebody is about to sign."""

    file: Path
    content: bytes
    document: TrustDocument
    current: TrustDocument
    changes: tuple[str, ...]
    person: str
    signer: Signer

    @property
    def target(self) -> Path:
        """Where the signed document is written: in place, or beside the YAML."""
        return self.file if self.document.signed else signed_path(self.file, self.document.trust.version)


@dataclass(frozen=True, slots=True)
class Signed:
    """What was written, and what is still missing before it can be pinned."""

    path: Path
    document: TrustDocument
    person: str
    missing: str | None


def propose_signature(
    file: Path,
    *,
    key: str | Path,
    password: Callable[[], str],
    current: Path | None,
    settings: Path | None,
    now: datetime,
) -> Proposal:
    """Return the trust policy in `file` with everything that its author has to see before signing.

    It is compared with the pinned one, or with the file `current`. Raises where the signature could never count: for a
    document that has expired or does not follow the other, and a key that is a trust author's in neither.
    """
    content = read_input(file, max_bytes=MAX_DOCUMENT_BYTES)
    document = read_document(file)
    before = read_document(current) if current is not None else require_pinned(settings)[1]

    # 1. In force, and this or the next version of what it is compared with.
    require_unexpired(document, now=now)
    same = document.sha256 == before.sha256
    follows = (document.trust.name, document.trust.version) == (before.trust.name, before.trust.version + 1)
    if not same and not follows:
        raise VerificationFailed(
            f"it is version {document.trust.version} of {document.trust.name!r}, and does not follow version"
            f" {before.trust.version} of {before.trust.name!r}",
            where=str(file),
            fix="pin the version before it, or name that with --current FILE",
        )

    # 2. A trust author's key, in force, of one of the two; once.
    signer = load_signer(key, password=password)
    person = find_person_listed((before.trust, document.trust), Role.TRUST_AUTHOR, signer.key_sha256, now=now)
    if person is None:
        raise KeyUnusable(
            f"neither version lists this key as {Role.TRUST_AUTHOR}, or it is not in force now",
            where=str(key),
            fix=f"sign with a key listed in roles.{Role.TRUST_AUTHOR}.keys",
        )
    public_key = read_public_key(signer.public_key_pem, where="the key given")
    message = document.envelope.signed_bytes()
    if any(is_signed_by(public_key, one.value, message) for one in document.envelope.signatures):
        raise UsageError(
            f"{person} has signed it already with this key", where=str(file), fix="ask another trust author to sign"
        )
    if len(document.envelope.signatures) >= MAX_SIGNATURES:
        raise UsageError(f"it has {MAX_SIGNATURES} signatures already", where=str(file), fix="sign the YAML anew")
    changes = describe_changes(before.trust, document.trust)
    proposal = Proposal(file, content, document, before, changes, person, signer)
    if not document.signed and (target := proposal.target).exists():
        raise UsageError(
            "a signed form of this version is there already",
            where=str(target),
            fix=f"add your signature to that one: policyd trust sign {target} --key {key}",
        )
    return proposal


def add_signature(proposal: Proposal, *, now: datetime) -> Signed:
    """Sign what was shown, and write it; `UsageError` where the file changed since."""
    if read_input(proposal.file, max_bytes=MAX_DOCUMENT_BYTES) != proposal.content:
        raise UsageError("the file changed meanwhile", where=str(proposal.file), fix="look at it again")
    envelope, target = proposal.document.envelope, proposal.target
    signature = Signature(value=proposal.signer.sign(envelope.signed_bytes()))
    signed = Envelope(envelope.payload, envelope.payload_type, (*envelope.signatures, signature))
    if proposal.document.signed:
        write_output(target, render_envelope(signed))
    else:
        write_new(target, render_envelope(signed), mode=0o644, what="a signed trust policy")
    document = read_document(target)
    return Signed(target, document, proposal.person, _find_missing(proposal.current, document, now))


def _find_missing(current: TrustDocument, document: TrustDocument, now: datetime) -> str | None:
    """Return why the document can't be pinned yet, in words; None where it can."""
    try:
        if document.sha256 == current.sha256:
            verify_own_signatures(document, now=now)
        else:
            verify_successor(current.trust, document, now=now)
    except VerificationFailed as error:
        return error.cause
    return None
