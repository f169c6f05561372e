"""Trust policies as people name them: files to look at, sign or pin, and the one that is pinned."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from policyd.adapters.output import read_input
from policyd.adapters.settings import (
    MAX_SETTINGS_BYTES,
    find_settings_file,
    read_operator_settings,
    read_trust_file,
)
from policyd.adapters.settings_places import SYSTEM_SETTINGS, user_settings_file
from policyd.adapters.stores.trust_versions import TrustVersions
from policyd.adapters.strict_modes import read_safe_file
from policyd.attestation.trust_chain import MAX_DOCUMENT_BYTES, TrustDocument, read_trust_document
from policyd.errors import PolicydError, SettingsError
from policyd.models.settings import OperatorSettings

_VERSION = re.compile(r"\.v([0-9]{1,9})$", re.ASCII)


@dataclass(frozen=True, slots=True)
class Pinned:
    """Operator settings and what they pin. `document` is None where they name a trust policy and no digest yet."""

    path: Path
    settings: OperatorSettings
    document: TrustDocument | None


def read_document(path: Path) -> TrustDocument:
    """Return the trust policy in a file that a user named."""
    return read_trust_document(read_input(path, max_bytes=MAX_DOCUMENT_BYTES), where=str(path))


def find_pinned(option: Path | None) -> Pinned:
    """Return what operator settings pin, by digest; raises `SettingsError` where there are none, or another file lies
    where the pinned one was.

    Unlike for a gate, it need be neither in force nor the latest: pinning the next version is what mends that.
    """
    path = find_settings_file(option, repository=None)
    if path is None:
        raise SettingsError(
            "there are no operator settings that could pin a trust policy",
            where=f"{SYSTEM_SETTINGS} and {user_settings_file()}",
            fix="run `policyd init` once, or name settings with --settings FILE",
        )
    settings = read_operator_settings(read_safe_file(path, max_bytes=MAX_SETTINGS_BYTES), path)
    if settings.trust_policy.sha256 is None:
        return Pinned(path, settings, None)
    document = read_trust_file(Path(settings.trust_policy.path), settings=path)
    if document.sha256 != settings.trust_policy.sha256:
        raise SettingsError(
            f"the pinned trust policy is gone: the digest of what lies in its place is {document.sha256}",
            where=document.source,
            fix=f"put the file with the digest {settings.trust_policy.sha256} back, and pin another from elsewhere",
        )
    return Pinned(path, settings, document)


def require_pinned(option: Path | None) -> tuple[Pinned, TrustDocument]:
    """Return what operator settings pin, to be looked at or built upon.

    Raises `SettingsError` where nothing is pinned yet, and `VerificationFailed` where a later version was pinned here.
    """
    pinned = find_pinned(option)
    if pinned.document is None:
        raise SettingsError(
            "nobody has pinned the trust policy yet",
            where=pinned.settings.trust_policy.path,
            fix=f"policyd trust pin {pinned.settings.trust_policy.path}",
        )
    trust, versions = pinned.document.trust, TrustVersions(Path(pinned.settings.state))
    versions.require_not_behind(trust.name, trust.version, pinned.document.sha256, where=str(pinned.path))
    return pinned, pinned.document


def find_between(path: Path, *, after: int, before: int) -> list[TrustDocument]:
    """Return the versions between two others that lie beside the file `path` under its name: `trust.v3.json`.

    What can't be read there is left out; the walk says which version is missing.
    """
    stem = _VERSION.sub("", path.stem)
    found = []
    for version in range(after + 1, min(before, after + 1025)):
        beside = path.with_name(f"{stem}.v{version}.json")
        try:
            found.append(read_document(beside))
        except PolicydError:
            continue
    return found


def signed_path(path: Path, version: int) -> Path:
    """Return where the signed form of a trust policy stands: `trust.v3.json` for `trust.v3.yaml`."""
    return path.with_name(f"{_VERSION.sub('', path.stem)}.v{version}.json")
