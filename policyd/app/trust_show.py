"""`policyd trust show` and `check`: who may do what, until when; and what is wrong with that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from policyd.app.trust_files import find_pinned, read_document, require_pinned
from policyd.attestation.keys import read_public_key
from policyd.attestation.trust_chain import TrustDocument
from policyd.attestation.trust_lint import Remark, Weight, lint_trust_policy
from policyd.attestation.trust_policy import why_not_in_force
from policyd.errors import ExitCode, SettingsError
from policyd.models.base import rfc3339
from policyd.models.canonical import sha256_hex
from policyd.models.trust import RolePolicy, TrustedIdentity, TrustedKey


@dataclass(frozen=True, slots=True)
class ListedSigner:
    """One key or identity of a role, and whether it counts now."""

    person: str
    name: str  # `sha256:…`, or the identity
    kind: str
    problem: str | None  # why it does not count now
    ends: datetime | None  # the first of its ends
    listed: TrustedKey | TrustedIdentity

    def to_json(self) -> dict[str, object]:
        """Return it as `--format json` prints it."""
        one = self.listed
        about: dict[str, object] = {"person": self.person, "kind": self.kind}
        if isinstance(one, TrustedKey):
            about["key_sha256"] = self.name.removeprefix("sha256:")
        else:
            about |= {"identity": one.identity, "pattern": one.pattern, "issuer": one.issuer, "instance": one.instance}
        for field in ("valid_from", "valid_until", "revoked_at"):
            moment = getattr(one, field)
            about[field] = None if moment is None else rfc3339(moment)
        return {**about, "in_force": self.problem is None, "problem": self.problem}


@dataclass(frozen=True, slots=True)
class ShownTrust:
    """A trust policy with what is wrong with it as of now. `pinned` says whether it is the one that counts here."""

    document: TrustDocument
    pinned: bool
    signers: dict[str, tuple[ListedSigner, ...]]  # by role
    remarks: tuple[Remark, ...]

    @property
    def exit_code(self) -> ExitCode:
        """How `trust check` ends: refused where something can't count as it stands."""
        wrong = any(remark.weight is Weight.ERROR for remark in self.remarks)
        return ExitCode.REFUSED if wrong else ExitCode.OK

    def to_json(self) -> dict[str, object]:
        """Return it as `--format json` prints it."""
        trust = self.document.trust
        return {
            "schema": "policyd.trust/v1",
            "source": self.document.source,
            "name": trust.name,
            "version": trust.version,
            "sha256": self.document.sha256,
            "signatures": len(self.document.envelope.signatures),
            "pinned": self.pinned,
            "expires_at": None if trust.expires_at is None else rfc3339(trust.expires_at),
            "roles": {
                role.value: {
                    "threshold": policy.threshold,
                    "predicate_types": list(policy.predicate_types),
                    "algorithms": None if policy.algorithms is None else list(policy.algorithms),
                    "witnesses": None if policy.witnesses is None else list(policy.witnesses),
                    "signers": [one.to_json() for one in self.signers[role.value]],
                }
                for role, policy in trust.roles.items()
            },
            "builders": [one.model_dump(mode="json") for one in trust.builders],
            "verifiers": [one.model_dump(mode="json") for one in trust.verifiers],
            "policy_sets": list(trust.policy_sets),
            "timestamp_authorities": [one.name for one in trust.timestamp_authorities],
            "instances": [
                {"name": one.name, "trusted_root_sha256": sha256_hex(one.trusted_root.encode())}
                for one in trust.instances
            ],
            "algorithms": None if trust.algorithms is None else list(trust.algorithms),
            "min_bundle_version": trust.min_bundle_version,
            "remarks": [remark.to_json() for remark in self.remarks],
        }


def show_trust(file: Path | None, *, settings: Path | None, now: datetime) -> ShownTrust:
    """Return the trust policy in `file`, verified or not, or the one that is pinned."""
    document = read_document(file) if file is not None else require_pinned(settings)[1]
    return ShownTrust(
        document=document,
        pinned=file is None or _is_pinned(document, settings),
        signers={role.value: tuple(_signers(policy, now)) for role, policy in document.trust.roles.items()},
        remarks=lint_trust_policy(document.trust, now=now),
    )


def _is_pinned(document: TrustDocument, settings: Path | None) -> bool:
    try:
        pinned = find_pinned(settings).document
    except SettingsError:
        return False
    return pinned is not None and pinned.sha256 == document.sha256


def _signers(policy: RolePolicy, now: datetime) -> Iterator[ListedSigner]:
    for one in policy.listed:
        ends = min((moment for moment in (one.valid_until, one.revoked_at) if moment is not None), default=None)
        if isinstance(one, TrustedKey):
            key = read_public_key(one.public_key, where="trust policy")
            name, kind = f"sha256:{key.sha256}", key.describe()
        else:
            name = one.identity if one.identity is not None else f"like {one.pattern}"
            name, kind = f"{name} at {one.issuer}", f"keyless ({one.instance})"
        yield ListedSigner(one.person, name, kind, why_not_in_force(one, now), ends, one)
