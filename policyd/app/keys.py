"""Making keys, and knowing which keys are taken: a key with a role signs nothing that a person asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from policyd.adapters.settings import find_authority
from policyd.adapters.signers.keyfile import Algorithm, GeneratedKey, KeyFileSigner, generate_key, load_key
from policyd.attestation.trust import role_keys
from policyd.errors import KeyUnusable, UsageError
from policyd.models.base import Sha256
from policyd.models.trust import Role


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


def find_role_keys(settings: Path | None) -> Mapping[Sha256, Role]:
    """Return the keys the operator's trust policy gives a role, by fingerprint; none where there is no operator.

    Broken settings are an error: not knowing which keys have a role is no reason to use one.
    """
    authority = find_authority(settings, repository=None)
    return {} if authority is None else role_keys(authority.trust)


def load_free_key(path: Path, *, password: Callable[[], str], taken: Mapping[Sha256, Role]) -> KeyFileSigner:
    """Return the signer for a key that holds no role; `KeyUnusable` if it has one (docs/threats.md, T36)."""
    signer = load_key(path, password=password)
    if (role := taken.get(signer.key_sha256)) is not None:
        raise KeyUnusable(
            f"this key has the role {role}: what it signs would count as the {role}'s word",
            where=str(path),
            fix="sign with a key of your own: policyd keygen --out NAME",
        )
    return signer
