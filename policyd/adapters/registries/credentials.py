"""Credentials for a registry, from where docker keeps them: `auths`, `credHelpers` and `credsStore` of config.json.

They are looked up for the registry that was named and for no other, handed to nobody but it (session.py), and never
shown. A credential helper is a program: it is found on the system path, not on the caller's (docs/threats.md, T44).

Source: docker, "docker login", config.json; docker/docker-credential-helpers, "Development" (the `get` protocol).
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from policyd.adapters.helpers import SYSTEM_PATH
from policyd.adapters.strict_modes import require_safe_file
from policyd.errors import DocumentError, RegistryError
from policyd.models.strict_json import read_json

MAX_CONFIG_BYTES = 1024 * 1024
MAX_SECRET_BYTES = 64 * 1024
HELPER_TIMEOUT_SECONDS = 30  # a helper may ask a cloud
_HUB_NAMES = ("https://index.docker.io/v1/", "docker.io", "index.docker.io", "registry-1.docker.io")
_HELPER = re.compile(r"[a-z0-9][a-z0-9-]{0,63}", re.ASCII)


def find_basic_auth(registry: str) -> str | None:
    """Return what HTTP's Basic scheme sends to `registry` (base64), None where docker has no credentials for it.

    Raises `RegistryError` for a configuration or helper that can't be used: without its credentials the answer would be
    another.
    """
    folder = os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")
    path = Path(folder) / "config.json"
    try:
        if not path.is_file():
            return None
        content = path.read_bytes()
        config = read_json(content, where=str(path), max_bytes=MAX_CONFIG_BYTES, max_depth=16)
    except (OSError, DocumentError) as error:
        raise _unusable("docker's configuration can't be read", str(path)) from error
    if not isinstance(config, dict):
        raise _unusable("docker's configuration is not a JSON object", str(path))
    names = _HUB_NAMES if registry == "docker.io" else (registry, f"https://{registry}")
    helper = _first(config.get("credHelpers"), names) or config.get("credsStore")
    entry = _first(config.get("auths"), names)
    if isinstance(entry, dict) and isinstance(inline := entry.get("auth"), str) and inline:
        return _checked(inline, str(path))
    if isinstance(helper, str) and helper:
        return _ask(helper, names, str(path))
    return None


def _first(table: object, names: Sequence[str]) -> object:
    if not isinstance(table, Mapping):
        return None
    return next((table[name] for name in names if name in table), None)


def _checked(text: str, where: str) -> str:
    try:
        if b":" not in base64.b64decode(text, validate=True):
            raise ValueError("no colon")
    except ValueError as error:
        raise _unusable("the credentials are not base64 of name:secret", where) from error
    return text


def _ask(suffix: str, names: Sequence[str], where: str) -> str | None:
    if not _HELPER.fullmatch(suffix):
        raise _unusable("the credential helper's name is no name", where)
    program = f"docker-credential-{suffix}"
    found = next((folder / program for folder in SYSTEM_PATH if os.access(folder / program, os.X_OK)), None)
    if found is None:
        raise _unusable(f"{program} is not in {' or '.join(map(str, SYSTEM_PATH))}", where)
    path = require_safe_file(Path(os.path.realpath(found)))
    for name in names:
        try:
            done = subprocess.run(
                [str(path), "get"],
                input=name.encode(),
                capture_output=True,
                timeout=HELPER_TIMEOUT_SECONDS,
                check=False,
            )
            answer = read_json(done.stdout, where=program, max_bytes=MAX_SECRET_BYTES, max_depth=4)
        except (OSError, subprocess.SubprocessError) as error:
            raise _unusable(f"{program} can't be asked ({type(error).__name__})", where) from error
        except DocumentError:
            continue  # it says in words that it knows none
        if done.returncode or not isinstance(answer, dict):
            continue
        user, secret = answer.get("Username"), answer.get("Secret")
        if isinstance(user, str) and isinstance(secret, str) and user and ":" not in user:
            return base64.b64encode(f"{user}:{secret}".encode()).decode()
    return None


def _unusable(cause: str, where: str) -> RegistryError:
    return RegistryError(
        cause, where=where, fix="log in again with docker login, or name another folder in DOCKER_CONFIG"
    )
