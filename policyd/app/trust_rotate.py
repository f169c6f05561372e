"""`policyd trust rotate`: make the next version of the trust policy; nothing is pinned and nobody has signed it yet.

Where `key rotate` replaces one role's key and makes it, this changes who may do what: keys of persons come and go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from policyd.adapters.settings import require_authority
from policyd.adapters.signers.loading import read_any_key
from policyd.app.trust_edit import (
    Proposal,
    add_key,
    end_key,
    next_version,
    proposal_path,
    remove_keys,
    set_threshold,
    steps_to_pin,
    write_proposal,
)
from policyd.attestation.keys import PublicKey
from policyd.attestation.trust_changes import describe_changes
from policyd.attestation.trust_lint import Remark, lint_trust_policy
from policyd.attestation.trust_policy import find_listed
from policyd.errors import UsageError
from policyd.models.base import Sha256
from policyd.models.trust import Role, TrustedKey, TrustPolicy


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the next version is to change. Keys are files, URIs, or `sha256:HEX` where they are listed already."""

    add: Sequence[tuple[Role, str, str]] = ()  # role, person, key
    replace: Sequence[tuple[str, str]] = ()  # a listed key, the new one
    revoke: Sequence[str] = ()
    remove: Sequence[str] = ()
    remove_persons: Sequence[str] = ()
    thresholds: Sequence[tuple[Role, int]] = ()
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rotated:
    """The next version, what it changes, and what is wrong with it."""

    proposal: Proposal
    changes: tuple[str, ...]
    remarks: tuple[Remark, ...]
    steps: tuple[str, ...]


def rotate_trust(wanted: Wanted, *, password: Callable[[str], str], settings: Path | None, now: datetime) -> Rotated:
    """Propose the version after the pinned one with what is `wanted`.

    A key that is replaced or revoked stays listed with its end, so that it is seen and what was timestamped before
    verifies; one that is removed is gone. Raises `UsageError` for a key that isn't listed or an end that has passed.
    """
    authority = require_authority(settings, repository=None)
    proposal_path(authority)
    if wanted.expires_at is not None and wanted.expires_at <= now:
        raise UsageError("it would have expired already", where="--expires", fix="give a later time")

    def read(name: str) -> PublicKey:
        return read_any_key(name, password=lambda: password(name))

    trust = authority.trust
    for role, person, key in wanted.add:
        trust = add_key(trust, role, TrustedKey(public_key=_pem(read(key)), person=person))
    for old, new in wanted.replace:
        old_sha256 = _name(old, read)
        role, listed = _require_listed(trust, old_sha256)
        entry = TrustedKey(public_key=_pem(read(new)), person=listed.person)
        trust = end_key(add_key(trust, role, entry, like=old_sha256), old_sha256, valid_until=now)
    for name in wanted.revoke:
        trust = end_key(trust, _name(name, read), revoked_at=now)
    removed = [_name(name, read) for name in wanted.remove]
    if removed or wanted.remove_persons:
        trust = remove_keys(trust, key_sha256s=removed, persons=wanted.remove_persons)
    for role, threshold in wanted.thresholds:
        trust = set_threshold(trust, role, threshold)
    if wanted.expires_at is not None:
        trust = trust.model_copy(update={"expires_at": wanted.expires_at})
    changes = describe_changes(authority.trust, trust)
    if not changes:
        raise UsageError(
            "nothing would change", where="policyd trust rotate", fix="say what: --add, --replace, --revoke, --expires"
        )
    proposal = write_proposal(
        authority,
        next_version(trust),
        comments=[f"Version {trust.version + 1}, made {now:%Y-%m-%d}. It counts once it is signed and pinned."],
    )
    return Rotated(
        proposal,
        changes,
        lint_trust_policy(proposal.trust, now=now),
        tuple(steps_to_pin(authority.trust, proposal, authority.path)),
    )


def _name(name: str, read: Callable[[str], PublicKey]) -> Sha256:
    digest = name.removeprefix("sha256:")
    if digest != name:
        return digest
    return read(name).sha256


def _require_listed(trust: TrustPolicy, key_sha256: Sha256) -> tuple[Role, TrustedKey]:
    found = find_listed(trust, key_sha256)
    if found is None:
        raise UsageError(
            f"the trust policy does not list the key sha256:{key_sha256}",
            where=f"trust policy {trust.name}, version {trust.version}",
            fix="`policyd trust show` lists its keys",
        )
    return found


def _pem(key: PublicKey) -> str:
    return key.pem.strip() + "\n"
