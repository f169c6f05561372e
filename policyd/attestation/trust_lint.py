"""What is wrong with a trust policy that can be read: what can never count, and what will stop to.

What makes one unusable (a key in two roles, a key of a kind that isn't allowed) is refused when it is read. Here is
what reads well and does not do what its authors mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from policyd.attestation import predicate_types
from policyd.attestation.keys import KeyKind, read_public_key
from policyd.attestation.trust_changes import name_of
from policyd.attestation.trust_policy import why_not_in_force
from policyd.models import statement
from policyd.models.base import Sha256, rfc3339
from policyd.models.trust import (
    LOG_WITNESSES,
    TRUST_POLICY_TYPE,
    Role,
    RolePolicy,
    TrustedIdentity,
    TrustedKey,
    TrustPolicy,
    Witness,
)

if TYPE_CHECKING:
    from policyd.attestation.keyless.trusted_root import TrustedRoot

#: Types that a role may be meant to sign; any other is named, because one letter makes another type.
KNOWN_TYPES = frozenset(
    {
        *predicate_types.SHORT_NAMES.values(),
        "https://slsa.dev/provenance/v0.2",
        "https://openvex.dev/ns",
        "https://docs.pypi.org/attestations/publish/v1",
        "https://github.com/npm/attestation/tree/main/specs/publish/v0.1",
        statement.VSA_V1,
        statement.DECISION_V1,
        statement.MANIFEST_V1,
        statement.WAIVER_V1,
        statement.WAIVER_REVOCATION_V1,
        statement.POLICY_SET_V1,
        TRUST_POLICY_TYPE,
        "https://policyd.dev/attestation/approval/v1",
        "https://c2sp.org/tlog-checkpoint",
        "https://in-toto.io/attestation/vulns/v0.2",
        "https://in-toto.io/attestation/scai/v0.3",
        "https://in-toto.io/attestation/svr/v0.2",
        "https://in-toto.io/attestation/release/v0.1",
    }
)
SOON = timedelta(days=30)

#: What one person must not do alone, and why. A single user does, and is told.
_SEPARATED = (
    (Role.BUILDER, Role.APPROVER, "who builds approves it too"),
    (Role.REQUESTER, Role.WAIVER_APPROVER, "who asks for a waiver may be the only one who could grant it"),
    (Role.POLICY_AUTHOR, Role.WAIVER_APPROVER, "who writes rules waives them too"),
)
#: Without these no run, release or record can be made or verified.
_NEEDED = (Role.DECIDER, Role.BUILDER, Role.VERIFIER, Role.LOG)
_BY_RUNS = (Role.DECIDER, Role.BUILDER, Role.VERIFIER)


class Weight(StrEnum):
    """How much a remark weighs: an error counts for nothing as it stands, a warning is likely not what was meant."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that is wrong, where, and what to do."""

    weight: Weight
    where: str
    cause: str
    fix: str

    def to_json(self) -> dict[str, object]:
        """Return the remark as `--format json` prints it."""
        return {"weight": self.weight.value, "where": self.where, "cause": self.cause, "fix": self.fix}


def lint_trust_policy(trust: TrustPolicy, *, now: datetime) -> tuple[Remark, ...]:
    """Return what is wrong with `trust` as of `now`, errors first."""
    found = [
        *_lint_expiry(trust, now),
        *_lint_roles(trust, now),
        *_lint_persons(trust, now),
        *_lint_references(trust),
        *_lint_succession(trust),
    ]
    return tuple(sorted(found, key=lambda remark: remark.weight is not Weight.ERROR))


def _lint_expiry(trust: TrustPolicy, now: datetime) -> Iterator[Remark]:
    expires_at = trust.expires_at
    if expires_at is None:
        yield _warning(
            "expires_at", "it never expires, so nobody notices who is kept from a newer version", "give it an end"
        )
    elif now >= expires_at:
        yield _error("expires_at", f"it expired at {rfc3339(expires_at)}: nothing counts", "make the next version")
    elif expires_at - now <= SOON:
        yield _warning("expires_at", f"it expires at {rfc3339(expires_at)}", "make the next version")


def _lint_roles(trust: TrustPolicy, now: datetime) -> Iterator[Remark]:
    for role in _NEEDED:
        if role not in trust.roles:
            yield _error(f"roles.{role}", "nobody has this role, and no run does without it", f"list a {role} key")
    for role, policy in trust.roles.items():
        place = f"roles.{role}"
        listed = policy.listed
        counting = [one for one in listed if why_not_in_force(one, now) is None]
        persons = {one.person for one in counting}
        if not counting:
            yield _error(place, "none of its keys and identities is in force", f"policyd key rotate {role}")
        elif len(persons) < policy.threshold:
            yield _error(
                f"{place}.threshold",
                f"{policy.threshold} persons have to sign, and {len(persons)} can ({', '.join(sorted(persons))})",
                "list more persons, or lower the threshold",
            )
        if policy.threshold > 1 and policy.identities:
            keyed = {one.person for one in policy.keys if one in counting}
            if len(keyed) < policy.threshold <= len(persons):
                yield _error(
                    f"{place}.threshold",
                    "a keyless bundle has one signature, so only persons with keys can reach the threshold",
                    "list keys of enough persons",
                )
        yield from _lint_listed(place, counting, now)
        yield from _lint_types(role, policy)
        yield from _lint_witnesses(trust, role, policy, counting)
        if role is Role.LOG:
            for key in policy.keys:
                if read_public_key(key.public_key, where="trust policy").kind is not KeyKind.ED25519:
                    yield _error(
                        place, f"{name_of(key)} is no Ed25519 key: the log signs with Ed25519", "list the right key"
                    )


def _lint_listed(place: str, counting: list[TrustedKey | TrustedIdentity], now: datetime) -> Iterator[Remark]:
    for one in counting:
        ends = [moment for moment in (one.valid_until, one.revoked_at) if moment is not None]
        if ends and min(ends) - now <= SOON:
            yield _warning(place, f"{name_of(one)} of {one.person} ends at {rfc3339(min(ends))}", "list its successor")
        if isinstance(one, TrustedIdentity) and one.pattern is not None:
            yield _warning(
                place,
                f"{one.person} is whoever has an identity like {one.pattern}",
                "name the identity exactly where one will do",
            )


def _lint_witnesses(
    trust: TrustPolicy, role: Role, policy: RolePolicy, counting: list[TrustedKey | TrustedIdentity]
) -> Iterator[Remark]:
    asked = policy.witnesses or ()
    place = f"roles.{role}.witnesses"
    missing = [(one, reasons) for one in counting if (reasons := _find_missing_witnesses(trust, one, asked))]
    for one, reasons in missing:
        # Where nobody is left, the role is nobody's; else some of its signatures count and others never do.
        yield (_error if len(missing) == len(counting) else _warning)(
            place,
            f"nothing that {name_of(one)} of {one.person} signs can count: {'; '.join(reasons)}",
            "list who could be the witness, or ask for less",
        )
    if role in _BY_RUNS and LOG_WITNESSES.intersection(asked) and any(one in policy.keys for one in counting):
        yield _warning(
            place,
            f"runs of policyd log nothing, so what they sign as {role} can't count",
            "ask for `timestamp`, which operator settings can have made",
        )


def _find_missing_witnesses(
    trust: TrustPolicy, one: TrustedKey | TrustedIdentity, asked: Sequence[Witness]
) -> list[str]:
    """Return, in words, who is missing that could be a witness of what `one` signs; empty where nobody is."""
    if not asked:
        return []
    if isinstance(one, TrustedKey):
        where, roots = "the trust policy", [root for _, root in _roots(trust)]
        can_stamp = bool(trust.timestamp_authorities)
    else:
        where, roots = f"the instance {one.instance}", [root for name, root in _roots(trust) if name == one.instance]
        can_stamp = any(root.timestamp_authorities for root in roots)
    found = []
    if "timestamp" in asked and not can_stamp:
        found.append(f"{where} lists no timestamp authority")
    if LOG_WITNESSES.intersection(asked) and not any(root.logs for root in roots):
        found.append(f"{where} lists no log")
    return found


def _roots(trust: TrustPolicy) -> list[tuple[str, TrustedRoot]]:
    from policyd.attestation.keyless.role import read_pinned_root

    return [(instance.name, read_pinned_root(instance.trusted_root)) for instance in trust.instances]


def _lint_types(role: Role, policy: RolePolicy) -> Iterator[Remark]:
    for predicate_type in policy.predicate_types:
        if predicate_type not in KNOWN_TYPES:
            yield _warning(
                f"roles.{role}.predicate_types",
                f"policyd does not know the type {predicate_type}",
                "check its spelling; types are compared exactly",
            )
    if role is Role.TRUST_AUTHOR and TRUST_POLICY_TYPE not in policy.predicate_types:
        yield _error(f"roles.{role}.predicate_types", f"it lacks {TRUST_POLICY_TYPE}", "add it: they sign nothing else")


def _lint_persons(trust: TrustPolicy, now: datetime) -> Iterator[Remark]:
    persons = {role: _persons(policy, now) for role, policy in trust.roles.items()}
    for one, other, why in _SEPARATED:
        for person in sorted(persons.get(one, set()) & persons.get(other, set())):
            yield _warning(f"roles.{other}", f"{person} is {one} too: {why}", "give one of the roles to somebody else")
    spelled: dict[str, str] = {}
    for person in sorted({person for each in persons.values() for person in each}):
        other_spelling = spelled.setdefault(" ".join(person.split()).casefold(), person)
        if other_spelling != person:
            yield _warning(
                "roles", f"{other_spelling!r} and {person!r} count as two persons", "spell one person in one way"
            )


def _lint_references(trust: TrustPolicy) -> Iterator[Remark]:
    keys: Mapping[Role, set[Sha256]] = {
        role: {read_public_key(key.public_key, where="trust policy").sha256 for key in policy.keys}
        for role, policy in trust.roles.items()
    }
    for field, role, entries in (
        ("builders", Role.BUILDER, trust.builders),
        ("verifiers", Role.VERIFIER, trust.verifiers),
    ):
        if not entries:
            yield _error(field, f"it is empty: no {role} counts", "list an id with its key")
        for entry in entries:
            if entry.key_sha256 not in keys.get(role, set()):
                yield _error(
                    field, f"{entry.id}: no {role} has the key sha256:{entry.key_sha256}", "correct the digest"
                )
    if not trust.policy_sets:
        yield _error("policy_sets", "it is empty: no decision counts", "add the digest of your policy set")
    used = {one.instance for policy in trust.roles.values() for one in policy.identities}
    if any(policy.keys and LOG_WITNESSES.intersection(policy.witnesses or ()) for policy in trust.roles.values()):
        used |= {instance.name for instance in trust.instances}  # any of them may have logged what a key signed
    for instance in trust.instances:
        if instance.name not in used:
            yield _warning("instances", f"no identity is of the instance {instance.name}", "take it out")


def _lint_succession(trust: TrustPolicy) -> Iterator[Remark]:
    if Role.TRUST_AUTHOR not in trust.roles:
        yield _warning(
            f"roles.{Role.TRUST_AUTHOR}",
            "nobody can sign the next version: each machine has to be told its digest by hand",
            f"policyd trust rotate --add {Role.TRUST_AUTHOR} PERSON KEY",
        )


def _persons(policy: RolePolicy, now: datetime) -> set[str]:
    return {one.person for one in policy.listed if why_not_in_force(one, now) is None}


def _error(where: str, cause: str, fix: str) -> Remark:
    return Remark(Weight.ERROR, where, cause, fix)


def _warning(where: str, cause: str, fix: str) -> Remark:
    return Remark(Weight.WARNING, where, cause, fix)
