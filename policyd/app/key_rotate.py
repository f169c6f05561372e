"""`policyd key rotate`: a new key for a role, and a trust policy that lists it; nothing is pinned here.

The old key stays listed, because what it signed has to verify: without timestamps, evidence of a key that has ended no
longer counts. `until` and `revoke` end it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from policyd.adapters.settings import Authority, require_authority
from policyd.adapters.signers.keyfile import Algorithm, generate_key
from policyd.adapters.signers.loading import read_any_key
from policyd.adapters.signers.uri import is_key_uri
from policyd.app.trust_edit import Proposal, add_key, end_key, next_version, proposal_path, steps_to_pin, write_proposal
from policyd.attestation.keys import KeyKind, PublicKey, read_public_key
from policyd.attestation.trust_policy import keys_in_force
from policyd.errors import UsageError
from policyd.models.base import Sha256
from policyd.models.trust import Role, TrustedKey


@dataclass(frozen=True, slots=True)
class Rotated:
    """A new key for a role, and what is left to do before it counts."""

    role: Role
    person: str
    new_key: str  # the private key's path or URI; the public key's file where that was given
    new_sha256: Sha256
    old_sha256: Sha256
    proposal: Proposal
    settings: Path
    steps: tuple[str, ...]


def rotate_key(
    role: Role,
    *,
    person: str | None,
    algorithm: Algorithm | None,
    new_key: str | None,
    until: datetime | None,
    revoke: bool,
    password: Callable[[], str],
    settings: Path | None,
    now: datetime,
) -> Rotated:
    """Make a key for `role`, or take `new_key` (a key file or URI), and propose a trust policy that lists it.

    `person` says whose key is replaced where the role has those of several; of one person's keys it is the last that is
    listed. It counts on, or until `until`, or with `revoke` no longer from now on. Raises `UsageError` where it is not
    clear whose key that is.
    """
    authority = require_authority(settings, repository=None)
    old = _find_old(authority, role, person, now)
    old_sha256 = read_public_key(old.public_key, where="trust policy").sha256
    trust = next_version(authority.trust)
    proposal_path(authority)  # before a key is made that nothing would list

    # 1. The new key.
    if new_key is not None:
        if algorithm is not None:
            raise UsageError("a key that is there already has its algorithm", where="--algorithm", fix="leave it out")
        name, key = new_key, read_any_key(new_key, password=password)
    else:
        path = _key_folder(authority, role) / f"{role}-{trust.version}.key"
        made = generate_key(path, algorithm=algorithm or _default(role), password=password())
        name, key = str(made.private_key), read_public_key(made.public_key_pem, where=str(made.public_key))
    _require_fit(role, key)

    # 2. The trust policy that lists it beside the old one.
    entry = TrustedKey(public_key=key.pem.strip() + "\n", person=old.person, valid_from=None)
    trust = add_key(trust, role, entry, like=old_sha256)
    if until is not None or revoke:
        trust = end_key(trust, old_sha256, valid_until=until, revoked_at=now if revoke else None)
    proposal = write_proposal(
        authority,
        trust,
        comments=[f"Version {trust.version}: a new {role} key, made {now:%Y-%m-%d}. Not in force yet."],
    )
    return Rotated(
        role=role,
        person=old.person,
        new_key=name,
        new_sha256=key.sha256,
        old_sha256=old_sha256,
        proposal=proposal,
        settings=authority.path,
        steps=tuple(_steps(authority, role, name, proposal, made=new_key is None, ended=until is not None or revoke)),
    )


def _find_old(authority: Authority, role: Role, person: str | None, now: datetime) -> TrustedKey:
    found = [key for key in keys_in_force(authority.trust, role, now=now) if person in (None, key.person)]
    persons = sorted({key.person for key in found})
    if len(persons) == 1:
        return found[-1]
    raise UsageError(
        f"the role {role} has keys of {', '.join(persons)}" if persons else f"the role {role} has no such key in force",
        where=authority.settings.trust_policy.path,
        fix="say whose with --person" if persons else "there is nothing to replace: list a key in the trust policy",
    )


def _key_folder(authority: Authority, role: Role) -> Path:
    named = dict(authority.settings.keys).get(role.value)
    if named is not None and not is_key_uri(named):
        return Path(named).parent
    return authority.path.parent / "keys"


def _default(role: Role) -> Algorithm:
    return "ed25519" if role is Role.LOG else "ecdsa-p256"


def _require_fit(role: Role, key: PublicKey) -> None:
    if role is Role.LOG and key.kind is not KeyKind.ED25519:
        raise UsageError(
            f"the log signs with Ed25519, and this key is {key.describe()}",
            where=f"key sha256:{key.sha256}",
            fix="make one with --algorithm ed25519",
        )


def _steps(authority: Authority, role: Role, name: str, proposal: Proposal, *, made: bool, ended: bool) -> list[str]:
    steps = steps_to_pin(authority.trust, proposal, authority.path)
    if role.value in dict(authority.settings.keys):
        private = name if made or is_key_uri(name) else "the path or URI of its private key"
        steps.append(f"in {authority.path}: keys.{role}: {private}")
    if role is Role.LOG:
        steps.append(
            "run a pipeline once: its record goes on under the new key, and keeps to every checkpoint of the old one; "
            "the old key stays listed as long as its checkpoints are to be verified"
        )
    elif not ended:
        steps.append(
            "the old key still counts, so that what it signed verifies; end it with --until or --revoke, and what it "
            "signed counts on only with a timestamp of before"
        )
    return steps
