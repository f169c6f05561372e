"""`policyd policy bundle`: a policy set as one file that any OPA server loads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from policyd.adapters.output import write_output
from policyd.app.bundled_sets import attestation_path
from policyd.app.policy_folders import read_policy_folders
from policyd.app.policy_sets import BUNDLE_SUFFIX
from policyd.errors import PolicyError, UsageError
from policyd.models.base import Sha256
from policyd.models.canonical import sha256_hex
from policyd.models.policy_bundle import BundleIdentity
from policyd.policy.bundle_archive import write_archive
from policyd.policy.bundle_files import make_bundle_files
from policyd.policy.policy_set import read_policy_set


@dataclass(frozen=True, slots=True)
class Bundled:
    """The bundle that was written, and what it holds."""

    path: Path
    sha256: Sha256  # of the file
    policy_set_sha256: Sha256
    identity: BundleIdentity
    rules: int


def bundle_policies(
    path: Path | None,
    *,
    out: Path,
    name: str | None = None,
    version: int | None = None,
    expires_at: datetime | None = None,
    settings: Path | None = None,
) -> Bundled:
    """Write the bundle of the policy set at `path` (the library without one) to `out`: the same set, the same bytes.

    Raises `UsageError` for a name, version or `out` that can't be used, `PolicyError` for a set that can't.
    """
    if not out.name.endswith(BUNDLE_SUFFIX):
        raise UsageError("a bundle's name ends in .tar.gz", where=str(out), fix=f"use {_with_suffix(out)}")
    if attestation_path(out).exists():
        raise UsageError(
            "an attestation of another bundle lies beside it",
            where=str(attestation_path(out)),
            fix="choose another name, such as one with the version in it, or move the signed bundle away",
        )
    [folder] = read_policy_folders((path,) if path else (), settings=settings)
    if folder.part:
        raise UsageError(
            "this is a part of a policy set", where=str(path), fix=f"bundle all of it: name {folder.folder}"
        )
    identity = _make_identity(name or _default_name(path), version, expires_at)
    try:
        policy_set = read_policy_set(folder.files, identity.name, prefix=folder.prefix)
        files = make_bundle_files(folder.files, policy_set, identity)
        content = write_archive(files, where=str(folder.folder))
    except PolicyError as error:
        where = str(folder.folder) if error.where == identity.name else f"{folder.folder}: {error.where}"
        raise PolicyError(error.cause, where=where, fix=error.fix) from error
    write_output(out, content)
    return Bundled(out, sha256_hex(content), policy_set.sha256, identity, len(policy_set.catalogue))


def _with_suffix(out: Path) -> Path:
    """Return `out` with the ending of a bundle in the place of another archive's."""
    for other in (".tar", ".tgz", ".gz", ".zip"):
        if out.name.endswith(other) and out.name != other:
            return out.with_name(out.name.removesuffix(other) + BUNDLE_SUFFIX)
    return out.with_name(out.name + BUNDLE_SUFFIX)


def _make_identity(name: str, version: int | None, expires_at: datetime | None) -> BundleIdentity:
    try:
        moment = expires_at.astimezone(UTC) if expires_at else None
        return BundleIdentity(name=name, version=version, expires_at=moment)
    except ValidationError as error:
        field = str(error.errors()[0]["loc"][0])
        raise UsageError(
            f"this can't be the {field} of a policy set",
            where=f"--{field}",
            fix="a name has lower-case letters, digits, `_` and `-`; a version is a whole number from 1",
        ) from error


def _default_name(path: Path | None) -> str:
    return "policyd-library" if path is None else path.resolve().name.removesuffix(BUNDLE_SUFFIX)
