"""Changing a trust policy: every change makes the next version, and none is in force before somebody pins it.

Functions take a `TrustPolicy` and return the changed one; `write_proposal` puts it beside the one in force. Its trust
authors read and sign it (`trust_sign`), and `trust_pin` makes it the one that counts; where a trust policy has no trust
authors, whoever runs policyd pins its digest by hand.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from policyd.adapters.settings import Authority
from policyd.adapters.signers.new_file import write_new
from policyd.app.init import PREDICATE_TYPES
from policyd.attestation.keys import read_public_key
from policyd.attestation.trust_policy import check_trust_policy
from policyd.errors import UsageError
from policyd.models.base import Sha256
from policyd.models.canonical import sha256_hex
from policyd.models.trust import Role, RolePolicy, TrustedBuilder, TrustedKey, TrustedVerifier, TrustPolicy


@dataclass(frozen=True, slots=True)
class Proposal:
    """A trust policy that waits to be pinned."""

    path: Path
    sha256: Sha256
    trust: TrustPolicy


def add_key(trust: TrustPolicy, role: Role, key: TrustedKey, *, like: Sha256 | None = None) -> TrustPolicy:
    """Return `trust` with one more key for `role`.

    With `like`, the fingerprint of a key listed already, the new one also speaks for its builder and verifier ids.
    Raises `SettingsError` for a key that can't be used or is listed already.
    """
    # A role that nobody had begins with what `policyd init` lets it sign.
    policy = trust.roles.get(role) or RolePolicy.model_construct(
        keys=(), identities=(), threshold=1, predicate_types=PREDICATE_TYPES[role], algorithms=None
    )
    sha256 = read_public_key(key.public_key, where="the new key").sha256
    changed = trust.model_copy(
        update={
            "roles": {**trust.roles, role: policy.model_copy(update={"keys": (*policy.keys, key)})},
            "builders": (
                *trust.builders,
                *(
                    TrustedBuilder(id=entry.id, key_sha256=sha256, max_level=entry.max_level)
                    for entry in trust.builders
                    if entry.key_sha256 == like
                ),
            ),
            "verifiers": (
                *trust.verifiers,
                *(
                    TrustedVerifier(id=entry.id, key_sha256=sha256)
                    for entry in trust.verifiers
                    if entry.key_sha256 == like
                ),
            ),
        }
    )
    check_trust_policy(changed)
    return changed


def end_key(
    trust: TrustPolicy, key_sha256: Sha256, *, valid_until: datetime | None = None, revoked_at: datetime | None = None
) -> TrustPolicy:
    """Return `trust` with an end to the time in which a key counts; an end set earlier stays.

    Raises `UsageError` for a key that isn't listed.
    """
    update: dict[str, object] = {}
    roles = {}
    found = False
    for role, policy in trust.roles.items():
        keys = []
        for listed in policy.keys:
            if read_public_key(listed.public_key, where="trust policy").sha256 == key_sha256:
                found = True
                update = {
                    "valid_until": _earlier(listed.valid_until, valid_until),
                    "revoked_at": _earlier(listed.revoked_at, revoked_at),
                }
                listed = listed.model_copy(update=update)
            keys.append(listed)
        roles[role] = policy.model_copy(update={"keys": tuple(keys)})
    if not found:
        raise UsageError(
            f"the trust policy does not list the key sha256:{key_sha256}",
            where=f"trust policy {trust.name}, version {trust.version}",
            fix="`policyd key show FILE` prints a key's fingerprint",
        )
    return trust.model_copy(update={"roles": roles})


def remove_keys(
    trust: TrustPolicy, *, key_sha256s: Collection[Sha256] = (), persons: Collection[str] = ()
) -> TrustPolicy:
    """Return `trust` without these keys, and without all keys and identities of these persons.

    What was signed with them no longer verifies, whenever that was: `end_key` is for keys that were good once. Raises
    `UsageError` for a key or person that isn't listed, and where nobody would be left in a role.
    """
    missing = {f"the key sha256:{key}" for key in key_sha256s} | {f"the person {person}" for person in persons}
    roles = {}
    gone: set[Sha256] = set()
    for role, policy in trust.roles.items():
        keys = []
        for listed in policy.keys:
            sha256 = read_public_key(listed.public_key, where="trust policy").sha256
            if sha256 in key_sha256s or listed.person in persons:
                missing -= {f"the key sha256:{sha256}", f"the person {listed.person}"}
                gone.add(sha256)
            else:
                keys.append(listed)
        identities = [one for one in policy.identities if one.person not in persons]
        missing -= {f"the person {one.person}" for one in policy.identities}.difference(
            f"the person {one.person}" for one in identities
        )
        if not keys and not identities:
            raise UsageError(
                f"nobody would be left in the role {role}",
                where=f"trust policy {trust.name}, version {trust.version}",
                fix=f"add somebody in the same step: --add {role} PERSON KEY",
            )
        roles[role] = policy.model_copy(update={"keys": tuple(keys), "identities": tuple(identities)})
    if missing:
        raise UsageError(
            f"the trust policy does not list {', '.join(sorted(missing))}",
            where=f"trust policy {trust.name}, version {trust.version}",
            fix="`policyd trust show` lists keys and persons",
        )
    return trust.model_copy(
        update={
            "roles": roles,
            "builders": tuple(one for one in trust.builders if one.key_sha256 not in gone),
            "verifiers": tuple(one for one in trust.verifiers if one.key_sha256 not in gone),
        }
    )


def set_threshold(trust: TrustPolicy, role: Role, threshold: int) -> TrustPolicy:
    """Return `trust` where `threshold` persons have to sign for `role`; `UsageError` for a role without entry."""
    policy = trust.roles.get(role)
    if policy is None:
        raise UsageError(
            f"the trust policy says nothing of the role {role}",
            where=f"trust policy {trust.name}, version {trust.version}",
            fix=f"add somebody first: --add {role} PERSON KEY",
        )
    return trust.model_copy(update={"roles": {**trust.roles, role: policy.model_copy(update={"threshold": threshold})}})


def next_version(trust: TrustPolicy) -> TrustPolicy:
    """Return `trust` under the version after its own."""
    return trust.model_copy(update={"version": trust.version + 1})


def render_trust(trust: TrustPolicy, *, comments: Sequence[str] = ()) -> str:
    """Return the YAML of `trust`, in the order of docs/settings.md; `comments` stand at its head."""
    import yaml

    value = trust.model_dump(mode="json", exclude_none=True)
    for optional in ("verifiers", "timestamp_authorities", "instances"):
        if not value[optional]:
            del value[optional]
    if value["min_bundle_version"] == TrustPolicy.model_fields["min_bundle_version"].default:
        del value["min_bundle_version"]
    for role in value["roles"].values():
        for optional in ("keys", "identities"):
            if not role[optional]:
                del role[optional]
    text: str = yaml.dump(value, Dumper=_dumper(), sort_keys=False, allow_unicode=True, width=120)
    return "".join(f"# {comment}\n" for comment in comments) + text


def proposal_path(authority: Authority) -> Path:
    """Return where the next version is proposed, `NAME.vVERSION.yaml`; `UsageError` if something is there already."""
    current = Path(authority.settings.trust_policy.path)
    stem = re.sub(r"\.v[0-9]+$", "", current.stem)
    path = current.with_name(f"{stem}.v{authority.trust.version + 1}.yaml")
    if path.is_symlink() or path.exists():
        raise UsageError(
            "there is a proposal already", where=str(path), fix="pin it, or remove it, before making another"
        )
    return path


def write_proposal(authority: Authority, trust: TrustPolicy, *, comments: Sequence[str] = ()) -> Proposal:
    """Write `trust`, the next version, beside the trust policy in force; `UsageError` if one is proposed already."""
    check_trust_policy(trust)
    path = proposal_path(authority)
    content = render_trust(trust, comments=comments).encode()
    write_new(path, content, mode=0o644, what="a trust policy")
    return Proposal(path, sha256_hex(content), trust)


def steps_to_pin(current: TrustPolicy, proposal: Proposal, settings: Path) -> list[str]:
    """Return what is left to do before a proposed trust policy counts."""
    by_hand = f"in {settings}: trust_policy.path: {proposal.path}, trust_policy.sha256: {proposal.sha256}"
    if Role.TRUST_AUTHOR not in current.roles:
        return [f"compare {proposal.path} with the one in force", by_hand]
    signed = proposal.path.with_suffix(".json")
    persons = {
        trust.version: max(1, trust.roles[Role.TRUST_AUTHOR].threshold)
        for trust in (current, proposal.trust)
        if Role.TRUST_AUTHOR in trust.roles
    }
    who = " and ".join(f"{count} of version {version}'s" for version, count in persons.items())
    return [
        f"{who} trust authors sign it: policyd trust sign {proposal.path} --key KEY (the next ones sign {signed})",
        f"on each machine: policyd trust pin {signed} (or, on this one, {by_hand})",
    ]


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((moment for moment in (one, other) if moment is not None), default=None)


def _dumper() -> Any:
    """Return a YAML dumper that writes text of several lines (keys in PEM) as a block."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """As SafeDumper, with blocks and without aliases, which policyd's reader counts."""

        def ignore_aliases(self, data: object) -> bool:
            del data
            return True

    def represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)

    Dumper.add_representer(str, represent_text)
    return Dumper
