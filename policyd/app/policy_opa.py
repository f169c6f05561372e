"""The OPA that a policy author's commands may start: the one operator settings name, else the system's."""

from __future__ import annotations

from pathlib import Path

from policyd.adapters.helpers import find_helper, require_helper
from policyd.adapters.settings import find_authority


def find_opa(settings: Path | None) -> Path | None:
    """Return the executable, or None where there is none on this machine."""
    helper = find_helper("opa", _configured(settings))
    return helper.path if helper else None


def require_opa(settings: Path | None) -> Path:
    """Return the executable, or raise `SettingsError` that says how to get it."""
    return require_helper("opa", _configured(settings)).path


def _configured(settings: Path | None) -> str | None:
    authority = find_authority(settings, repository=None)
    return authority.settings.helpers.opa if authority else None
