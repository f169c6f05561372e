"""What a version of a trust policy changes, in words: what its authors look at before they sign."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from policyd.attestation.keys import read_public_key
from policyd.models.base import rfc3339
from policyd.models.canonical import sha256_hex
from policyd.models.trust import RolePolicy, TrustedIdentity, TrustedKey, TrustPolicy

Listed = TrustedKey | TrustedIdentity


def describe_changes(old: TrustPolicy, new: TrustPolicy) -> tuple[str, ...]:
    """Return every difference between two versions, one line each; empty where nothing but the version differs."""
    return tuple(_changes(old, new))


def name_of(listed: Listed) -> str:
    """Return what tells a listed key or identity from every other."""
    if isinstance(listed, TrustedKey):
        return f"key sha256:{read_public_key(listed.public_key, where='trust policy').sha256}"
    who = listed.identity if listed.identity is not None else f"like {listed.pattern}"
    return f"identity {who} at {listed.issuer} ({listed.instance})"


def _changes(old: TrustPolicy, new: TrustPolicy) -> Iterator[str]:
    if old.name != new.name:
        yield f"name: {old.name} → {new.name}"
    yield from _change("expires", _time(old.expires_at), _time(new.expires_at))
    for role in sorted({*old.roles, *new.roles}):
        if role not in new.roles:
            yield f"{role}: the role is gone, with all its keys"
            continue
        if role not in old.roles:
            yield f"{role}: a new role, threshold {new.roles[role].threshold}"
        yield from (f"{role}: {change}" for change in _role_changes(old.roles.get(role), new.roles[role]))
    yield from _sets(
        "builder",
        *(
            {f"{one.id} by key sha256:{one.key_sha256} up to SLSA Build level {one.max_level}" for one in each.builders}
            for each in (old, new)
        ),
    )
    yield from _sets(
        "verifier", *({f"{one.id} by key sha256:{one.key_sha256}" for one in each.verifiers} for each in (old, new))
    )
    yield from _sets("policy set", *({f"sha256:{one}" for one in each.policy_sets} for each in (old, new)))
    yield from _sets(
        "timestamp authority",
        *(
            {
                f"{one.name} (sha256:{sha256_hex(one.certificate_chain.encode())}, from {_time(one.valid_from)}"
                f" until {_time(one.valid_until)})"
                for one in each.timestamp_authorities
            }
            for each in (old, new)
        ),
    )
    yield from _sets(
        "instance",
        *(
            {f"{one.name} (trusted root sha256:{sha256_hex(one.trusted_root.encode())})" for one in each.instances}
            for each in (old, new)
        ),
    )
    yield from _change("algorithms", _words(old.algorithms), _words(new.algorithms))
    yield from _change("min_bundle_version", old.min_bundle_version, new.min_bundle_version)


def _role_changes(old: RolePolicy | None, new: RolePolicy) -> Iterator[str]:
    before = {name_of(one): one for one in old.listed} if old else {}
    after = {name_of(one): one for one in new.listed}
    for name, listed in after.items():
        if name not in before:
            yield f"+ {name} of {listed.person}{_window(listed)}"
    for name, listed in before.items():
        if name not in after:
            yield f"- {name} of {listed.person}"
            continue
        changed = after[name]
        yield from _change(f"{name}: person", listed.person, changed.person)
        for field in ("valid_from", "valid_until", "revoked_at"):
            yield from _change(
                f"{name} of {changed.person}: {field}", _time(getattr(listed, field)), _time(getattr(changed, field))
            )
    if old is not None:
        yield from _change("threshold", str(old.threshold), str(new.threshold))
    yield from _sets("may sign", set(old.predicate_types) if old else set(), set(new.predicate_types))
    yield from _change("algorithms", _words(old.algorithms if old else None), _words(new.algorithms))
    yield from _sets("must have", set((old and old.witnesses) or ()), set(new.witnesses or ()))


def _change(what: str, old: str, new: str) -> Iterator[str]:
    if old != new:
        yield f"{what}: {old} → {new}"


def _sets(what: str, old: set[str], new: set[str]) -> Iterator[str]:
    yield from (f"+ {what} {one}" for one in sorted(new - old))
    yield from (f"- {what} {one}" for one in sorted(old - new))


def _window(listed: Listed) -> str:
    said = [
        f"{field.replace('_', ' ')} {_time(moment)}"
        for field in ("valid_from", "valid_until", "revoked_at")
        if (moment := getattr(listed, field)) is not None
    ]
    return f" ({', '.join(said)})" if said else ""


def _time(moment: datetime | None) -> str:
    return "none" if moment is None else rfc3339(moment)


def _words(words: Sequence[str] | None) -> str:
    return "all" if words is None else ", ".join(sorted(words))
