"""Where authority is read from: operator settings, the trust policy they pin, and the project's own wishes.

The repository is the thing judged, so operator settings never come from below it (SECURITY.md, "Who is trusted with
what").
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from policyd.adapters.settings_places import PROJECT_FILE, SYSTEM_SETTINGS, find_named_settings, user_settings_file
from policyd.adapters.strict_modes import read_safe_file
from policyd.errors import SettingsError
from policyd.models.base import Model, Sha256
from policyd.models.canonical import sha256_hex
from policyd.models.settings import OperatorSettings, ProjectSettings
from policyd.models.trust import TrustPolicy
from policyd.pipeline.yaml_reader import read_yaml

if TYPE_CHECKING:
    from policyd.attestation.trust_chain import TrustDocument

MAX_SETTINGS_BYTES = 1024 * 1024

M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True)
class Authority:
    """Who judges: the operator's settings and trust policy, as read once, with their digests."""

    path: Path
    settings: OperatorSettings
    settings_sha256: Sha256
    trust: TrustPolicy
    trust_sha256: Sha256


def find_authority(option: Path | None, *, repository: Path | None) -> Authority | None:
    """Return the operator's authority, or None where there are no operator settings at all.

    Looks at `option`, else /etc/policyd/settings.yaml, else the user's configuration directory; the first that exists
    is the one, and a broken one is an error, never passed over. Raises `SettingsError` for settings below
    `repository`, changed by others, or with a trust policy that is not the one pinned, and `VerificationFailed` for one
    that is older than what was pinned here before.
    """
    path = find_settings_file(option, repository=repository)
    if path is None:
        return None
    from policyd.adapters.stores.trust_versions import TrustVersions

    content = read_safe_file(path, max_bytes=MAX_SETTINGS_BYTES)
    settings = read_operator_settings(content, path)
    document = read_trust_file(Path(settings.trust_policy.path), settings=path)
    if settings.trust_policy.sha256 is None:
        raise SettingsError(
            "nobody has pinned the trust policy yet: nothing is trusted on first use",
            where=document.source,
            fix=f"compare its digest with what its maintainers say, and pin it: policyd trust pin {document.source}",
        )
    if document.sha256 != settings.trust_policy.sha256:
        raise SettingsError(
            f"the trust policy is not the one pinned: its sha256 is {document.sha256}",
            where=document.source,
            fix=f"if its trust authors signed it: policyd trust pin {document.source}; "
            f"if you changed it yourself, write that digest to trust_policy.sha256 in {path}",
        )
    versions = TrustVersions(Path(settings.state))
    versions.require_not_behind(document.trust.name, document.trust.version, document.sha256, where=str(path))
    return Authority(
        path=path,
        settings=settings,
        settings_sha256=sha256_hex(content),
        trust=document.trust,
        trust_sha256=document.sha256,
    )


def find_settings_file(option: Path | None, *, repository: Path | None) -> Path | None:
    """Return the absolute path of the operator settings that count, unread; None where there are none."""
    path = find_named_settings(option)
    if path is None:
        return None
    path = path.absolute()
    if repository is not None and path.resolve().is_relative_to(repository.resolve()):
        raise SettingsError(
            "operator settings must not come from the repository they judge",
            where=str(path),
            fix="keep them in /etc/policyd or in your configuration directory",
        )
    return path


def read_operator_settings(content: bytes, path: Path) -> OperatorSettings:
    """Return the operator settings in `content`, the file at `path`; `SettingsError` if they can't be used."""
    return _read_model(OperatorSettings, content, path)


def read_trust_file(path: Path, *, settings: Path) -> TrustDocument:
    """Return the trust policy that `settings` name, whether pinned or not."""
    # Imported here: a check without operator settings reads no trust, and all that signatures need takes 40 ms.
    from policyd.attestation.trust_chain import MAX_DOCUMENT_BYTES, read_trust_document

    if not path.is_absolute():
        raise SettingsError("the path of the trust policy is not absolute", where=str(settings), fix="write it in full")
    if not path.exists():
        raise SettingsError(
            "the trust policy is not there", where=str(path), fix=f"put it back, or mend trust_policy in {settings}"
        )
    return read_trust_document(read_safe_file(path, max_bytes=MAX_DOCUMENT_BYTES), where=str(path))


def require_authority(option: Path | None, *, repository: Path | None) -> Authority:
    """Return the operator's authority; `SettingsError` where there is none."""
    authority = find_authority(option, repository=repository)
    if authority is None:
        raise SettingsError(
            "there are no operator settings: nobody says whose signatures count",
            where=f"{SYSTEM_SETTINGS} and {user_settings_file()}",
            fix="run `policyd init` once, or name settings with --settings FILE",
        )
    return authority


def find_project_settings(root: Path) -> ProjectSettings:
    """Return what `policyd.yaml` at `root` asks for; the defaults where there is none."""
    from policyd.adapters.sources.discovery import read_beneath

    if not (root / PROJECT_FILE).exists():
        return ProjectSettings(policyd="project/v1")
    content = read_beneath(root, PROJECT_FILE, max_bytes=MAX_SETTINGS_BYTES)
    return _read_model(ProjectSettings, content, root / PROJECT_FILE)


def _yaml_to_json(content: bytes, path: Path) -> bytes:
    return json.dumps(read_yaml(content, where=str(path)), ensure_ascii=False).encode()


def _read_model(model: type[M], content: bytes, path: Path) -> M:
    try:
        return model.model_validate_json(_yaml_to_json(content, path))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        cause, fix = f"{field or 'the file'}: {first['msg']}", "docs/settings.md lists every field"
        if first["type"] == "extra_forbidden":
            cause = f"there is no setting `{field}` here"
            if model is ProjectSettings and field in OperatorSettings.model_fields:
                cause = f"`{field}` is for the operator to decide, not for the project that is judged"
                fix = "take it out; it belongs to operator settings"
        raise SettingsError(cause, where=str(path), fix=fix) from error
