"""Making and showing keys, and knowing which keys are taken: a key with a role signs nothing that a person asks for."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from policyd.adapters.settings import find_authority
from policyd.adapters.signers.keyfile import Algorithm, GeneratedKey, generate_key
from policyd.adapters.signers.loading import load_signer, read_any_key
from policyd.attestation.keys import PublicKey
from policyd.attestation.signing import OwnSigner
from policyd.attestation.trust_policy import find_listed, role_keys, why_not_in_force
from policyd.errors import KeyUnusable, UsageError
from policyd.models.base import Sha256
from policyd.models.statement import APPROVAL_V1
from policyd.models.trust import Role, TrustedKey


@dataclass(frozen=True, slots=True)
class ShownKey:
    """A key, and what the operator's trust policy says of it; nothing where there is no operator or it isn't listed."""

    key: PublicKey
    role: Role | None
    listed: TrustedKey | None
    problem: str | None  # why it does not count now, though it is listed

    @property
    def hint(self) -> str:
        """What Sigstore bundles name the key by."""
        return base64.b64encode(bytes.fromhex(self.key.sha256)).decode()

    def to_json(self) -> dict[str, object]:
        """Return it as `--format json` prints it."""
        return {
            "schema": "policyd.key/v1",
            "kind": self.key.describe(),
            "sha256": self.key.sha256,
            "hint": self.hint,
            "role": self.role.value if self.role else None,
            "person": self.listed.person if self.listed else None,
            "in_force": None if self.listed is None else self.problem is None,
            "problem": self.problem,
            "public_key": self.key.pem,
        }


def make_key_pair(name: Path, *, algorithm: Algorithm, password: Callable[[], str]) -> GeneratedKey:
    """Write NAME.key (0600) and NAME.pub; `UsageError` if one is there. `password` is asked only when both are free."""
    if name.name in ("", ".."):
        raise UsageError("the name names no file", where=str(name), fix="give a name, such as --out release")
    private_key = name.with_name(f"{name.name}.key")
    for path in (private_key, name.with_name(f"{name.name}.pub")):
        if path.is_symlink() or path.exists():
            raise UsageError(
                "there is a file of this name already; policyd never overwrites a key",
                where=str(path),
                fix="choose another name, or move the old key away",
            )
    return generate_key(private_key, algorithm=algorithm, password=password())


def show_key(name: str | Path, *, password: Callable[[], str], settings: Path | None, now: datetime) -> ShownKey:
    """Return what is known of a public or private key file or of a key URI."""
    key = read_any_key(name, password=password)
    authority = find_authority(settings, repository=None)
    found = None if authority is None else find_listed(authority.trust, key.sha256)
    if found is None:
        return ShownKey(key, None, None, None)
    role, listed = found
    return ShownKey(key, role, listed, why_not_in_force(listed, now))


def find_role_keys(settings: Path | None) -> Mapping[Sha256, Role]:
    """Return the keys the operator's trust policy gives a role, by fingerprint; none where there is no operator.

    Broken settings are an error: not knowing which keys have a role is no reason to use one.
    """
    authority = find_authority(settings, repository=None)
    return {} if authority is None else role_keys(authority.trust)


def load_attesting_key(
    name: str | Path, predicate_type: str, *, password: Callable[[], str], taken: Mapping[Sha256, Role]
) -> OwnSigner:
    """Return the signer for an attestation of this type: one that holds no role, but for an approval an approver's."""
    if predicate_type != APPROVAL_V1:
        return load_free_key(name, password=password, taken=taken)
    signer = load_signer(name, password=password)
    if (role := taken.get(signer.key_sha256)) is not Role.APPROVER:
        raise KeyUnusable(
            f"this key has {'no role' if role is None else f'the role {role}'}, and an approval counts by the role "
            f"{Role.APPROVER} alone",
            where=str(name),
            fix=f"use a key that the trust policy lists under roles.{Role.APPROVER}",
        )
    return signer


def load_free_key(name: str | Path, *, password: Callable[[], str], taken: Mapping[Sha256, Role]) -> OwnSigner:
    """Return the signer for a key that holds no role; `KeyUnusable` if it has one (docs/threats.md, T36)."""
    signer = load_signer(name, password=password)
    if (role := taken.get(signer.key_sha256)) is not None:
        raise KeyUnusable(
            f"this key has the role {role}: what it signs would count as the {role}'s word",
            where=str(name),
            fix="sign with a key of your own: policyd key new --out NAME",
        )
    return signer
