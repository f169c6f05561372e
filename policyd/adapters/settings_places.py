"""Where operator settings and a project's own wishes stand. Light: what reads them is in settings.py."""

from __future__ import annotations

from pathlib import Path

import platformdirs

from policyd.errors import UsageError

SYSTEM_SETTINGS = Path("/etc/policyd/settings.yaml")
PROJECT_FILE = "policyd.yaml"


def user_settings_file() -> Path:
    """Return where a user's own operator settings stand."""
    return platformdirs.user_config_path("policyd") / "settings.yaml"


def find_named_settings(option: Path | None) -> Path | None:
    """Return the file of operator settings that counts; None where there is none.

    That is `option`, else the one for everybody, else the user's own. Raises `UsageError` where `option` is not there.
    """
    if option is not None:
        if not option.exists():
            raise UsageError("there is no such settings file", where=str(option), fix="name one that exists")
        return option
    for path in (SYSTEM_SETTINGS, user_settings_file()):
        # A link whose target is away still is somebody's settings: `exists` would pass over it.
        if path.is_symlink() or path.exists():
            return path
    return None
