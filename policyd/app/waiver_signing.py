"""`policyd waiver approve` and `revoke`: what a waiver approver's key is used for.

Approving is in two halves: `propose_approval` makes every check and returns what is to be shown, `sign_approval` signs
exactly the bytes that were shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from policyd.adapters.output import read_input, write_output
from policyd.adapters.settings import Authority, require_authority
from policyd.adapters.signers.new_file import write_new
from policyd.app.projects import find_root
from policyd.app.waiver_places import Place, find_recorded, judge_file
from policyd.app.waiver_request import load_role_key
from policyd.app.waivers import SUFFIX, find_folder, keep_revocation, load_waivers
from policyd.attestation.signing import Signer
from policyd.attestation.statements import sign_statement
from policyd.attestation.waivers import (
    MAX_WAIVER_BYTES,
    ReadRevocation,
    ReadWaiver,
    add_signature,
    find_approvers,
    read_waiver_file,
    render_waiver,
    require_within,
    revocation_statement,
    verify_requester,
)
from policyd.errors import IdentityNotTrusted, SubjectMismatch, UsageError, WaiverUnusable
from policyd.models.base import Sha256, rfc3339
from policyd.models.decision import Gate, Level, Violation, WaiverState
from policyd.models.trust import Role
from policyd.models.waiver import MAX_REASON, MIN_REASON, Revocation, Waiver

_DIGEST = 64


@dataclass(frozen=True, slots=True)
class Proposal:
    """A waiver that somebody is about to approve, checked and found again at its place."""

    file: Path
    read: ReadWaiver
    place: Place
    violation: Violation
    approver: str
    approved_by: tuple[str, ...]  # persons who did already
    threshold: int
    signer: Signer

    @property
    def waiver(self) -> Waiver:
        """What is asked for."""
        return self.read.waiver

    @property
    def missing(self) -> int:
        """How many more persons it takes once this one has signed."""
        return max(0, self.threshold - len(self.approved_by) - 1)


@dataclass(frozen=True, slots=True)
class Revoked:
    """A waiver that was taken back."""

    waiver_sha256: Sha256
    file: Path
    by: str


def propose_approval(
    name: str,
    *,
    key: str | Path,
    password: Callable[[], str],
    settings: Path | None,
    engine: str | None,
    now: datetime,
) -> Proposal:
    """Return the waiver `name` (a file, or an id) with everything that whoever approves it has to see.

    Raises where an approval by this key could never count, or where the violation is not what was requested.
    """
    root = find_root(Path("."))
    authority = require_authority(settings, repository=root)
    file = find_waiver_file(name, root, authority)
    read = read_waiver_file(read_input(file, max_bytes=MAX_WAIVER_BYTES), where=str(file))
    if not isinstance(read, ReadWaiver):
        raise UsageError("this is a revocation, not a waiver", where=str(file), fix="name the waiver's file")
    terms = load_waivers(root, authority).terms
    assert terms is not None

    # 1. It can still count: not revoked, asked for by somebody known, not for too long, not over.
    if terms.revoked and read.sha256 in terms.revoked:
        raise _refused(f"it was revoked: {terms.revoked[read.sha256]}", file, WaiverState.REVOKED)
    requesters = verify_requester(read, terms, now=now).signers
    require_within(read.waiver, terms.max_days, where=str(file))
    if now >= read.waiver.expires_at:
        raise _refused(f"it expired at {rfc3339(read.waiver.expires_at)}", file, WaiverState.EXPIRED)

    # 2. The key is a waiver approver's, who neither asked for it nor has signed it.
    signer, person = load_role_key(key, authority, Role.WAIVER_APPROVER, password, now)
    if person in requesters:
        raise IdentityNotTrusted(
            f"{person} requested this waiver and can't approve it",
            where=str(file),
            fix="ask another person; docs/waivers.md says how the trust policy gets a second one",
        )
    approved_by = find_approvers(read, terms.trust, now=now) - requesters
    if person in approved_by:
        raise IdentityNotTrusted(
            f"{person} has approved this waiver already; a second signature of one person counts for nothing",
            where=str(file),
            fix="ask another person where more than one has to approve",
        )

    # 3. What was requested is still there, unchanged, and denies.
    place, violation = _find_again(read.waiver, root, authority, engine=engine, now=now, where=str(file))
    return Proposal(
        file,
        read,
        place,
        violation,
        person,
        tuple(sorted(approved_by)),
        terms.trust.roles[Role.WAIVER_APPROVER].threshold,
        signer,
    )


def sign_approval(proposal: Proposal) -> None:
    """Add the approver's signature to the waiver's file. Raises `UsageError` where the file changed since."""
    if read_input(proposal.file, max_bytes=MAX_WAIVER_BYTES) != proposal.read.content:
        raise UsageError("the waiver changed meanwhile", where=str(proposal.file), fix="look at it again")
    write_output(proposal.file, render_waiver(add_signature(proposal.read.envelope, proposal.signer)))


def revoke_waiver(
    name: str, *, reason: str, key: str | Path, password: Callable[[], str], settings: Path | None, now: datetime
) -> Revoked:
    """Sign that the waiver `name` (a file, an id or its SHA-256) counts no more, and keep that on this machine too."""
    root = find_root(Path("."))
    authority = require_authority(settings, repository=root)
    if not MIN_REASON <= len(reason.strip()) <= MAX_REASON:
        raise UsageError(
            f"a reason has {MIN_REASON} to {MAX_REASON} characters", where="--reason", fix="say why it is taken back"
        )
    folder = find_folder(root, authority)
    if len(name) == _DIGEST and all(character in "0123456789abcdef" for character in name):
        sha256, stem = name, name[:12]
    else:
        file = find_waiver_file(name, root, authority)
        read = read_waiver_file(read_input(file, max_bytes=MAX_WAIVER_BYTES), where=str(file))
        if not isinstance(read, ReadWaiver):
            raise UsageError("this is a revocation, not a waiver", where=str(file), fix="name the waiver's file")
        sha256, stem = read.sha256, file.name.removesuffix(SUFFIX)
    signer, person = load_role_key(key, authority, Role.WAIVER_APPROVER, password, now)
    revocation = Revocation(waiver_sha256=sha256, reason=reason.strip(), revoked_by=person, revoked_at=now)
    content = sign_statement(revocation_statement(revocation), signer)
    folder.mkdir(exist_ok=True)
    path = folder / f"{stem}.revoked{SUFFIX}"
    write_new(path, content, mode=0o644, what="a revocation")
    made = read_waiver_file(content, where=str(path))
    assert isinstance(made, ReadRevocation)
    keep_revocation(made, authority)
    return Revoked(sha256, path, person)


def find_waiver_file(name: str, root: Path, authority: Authority) -> Path:
    """Return the file that `name` means: a path, or the beginning of a file's name among the project's waivers."""
    if Path(name).is_file():
        return Path(name)
    folder = find_folder(root, authority)
    found = []
    if folder.is_dir() and "/" not in name and name:
        found = [path for path in sorted(folder.glob(f"*{SUFFIX}")) if _means(path.name, name)]
    if len(found) == 1:
        return found[0]
    raise UsageError(
        "there is no such waiver" if not found else "several waivers begin so",
        where=name,
        fix="`policyd waiver list` shows them; name a file",
    )


def _means(file_name: str, name: str) -> bool:
    if file_name.endswith(f".revoked{SUFFIX}"):
        return False
    stem = file_name.removesuffix(SUFFIX)
    return stem == name or stem.startswith(name) or stem.rpartition("-")[2].startswith(name)


def _find_again(
    waiver: Waiver, root: Path, authority: Authority, *, engine: str | None, now: datetime, where: str
) -> tuple[Place, Violation]:
    if waiver.gate is Gate.PIPELINE:
        place = judge_file(root, str(waiver.file), authority, engine=engine, now=now)
    else:
        place = find_recorded(
            authority,
            gate=waiver.gate,
            rule=waiver.rule,
            now=now,
            file=waiver.file or "",
            artifact_sha256=waiver.artifact_sha256,
        )
    covered = [violation for violation in place.violations if waiver.covers(violation, place.site)]
    if not covered:
        raise SubjectMismatch(
            "what the waiver was requested for has changed or is gone",
            where=waiver.bound_name,
            fix="have it requested again for what is there now, or remove the request",
        )
    violation = next((one for one in covered if one.at == waiver.at), covered[0])
    if violation.level is Level.HARD:
        raise IdentityNotTrusted(
            f"{waiver.rule} is a hard rule here: no waiver lifts it",
            where=waiver.bound_name,
            fix="have what it found corrected",
        )
    return place, violation


def _refused(cause: str, file: Path, state: WaiverState) -> WaiverUnusable:
    return WaiverUnusable(cause, where=str(file), fix="have it requested again", state=state.value)
