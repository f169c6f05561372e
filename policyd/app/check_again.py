"""The very same command again, with nothing changed: its answer as it was written, before anything heavy is imported.

`check_cache.py` keeps what rules found and weighs it anew, for any format and under operator settings; that takes all
that policyd judges with. This keeps the text, for the common case that nobody but the files speaks: no operator
settings, no rules of the project's own, no waivers, no baseline. The key is the digest of all that is known before
anything is read; files that pipelines include stand in the entry by digest, and are looked at again. A rule that is
to deny from some day on ends the entry.

Never kept: an answer with anything undecided, or anything unreadable in it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from policyd import __version__
from policyd.adapters.library import library_folder
from policyd.adapters.settings_places import PROJECT_FILE, find_named_settings
from policyd.adapters.sources.discovery import read_beneath
from policyd.adapters.stores.check_cache import CheckCache, open_cache
from policyd.app.check_sources import Source, find_sources
from policyd.app.projects import find_root
from policyd.errors import PolicydError
from policyd.models.canonical import sha256_hex

if TYPE_CHECKING:
    from policyd.models.base import Sha256

_FORMAT = 1
_CODE = Path(__file__).resolve().parent.parent
_WAIVERS = "waivers"  # policyd.app.waivers.FOLDER, which is heavy to import; a test compares them


@dataclass(frozen=True, slots=True)
class Follows:
    """What an answer follows from beside the files found: of each, what it includes; and until when it holds."""

    included: Sequence[Mapping[str, Sha256 | None]]
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Earlier:
    """What may be known of a command from an earlier time. Made by `look_back` alone."""

    sources: Sequence[Source]
    cache: CheckCache
    key: Sha256

    def find(self, *, now: datetime) -> tuple[str, int] | None:
        """Return what was written then and the exit code; None where it is not known to be the same today."""
        content = self.cache.find(self.key)
        if content is None:
            return None
        try:
            entry = json.loads(content)
            if entry["until"] is not None and now >= datetime.fromisoformat(entry["until"]):
                return None
            for source, included in zip(self.sources, entry["included"], strict=True):
                if any(_digest(source.find_file(name)) != sha256 for name, sha256 in included.items()):
                    return None
            return str(entry["output"]), int(entry["exit_code"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return None  # of another shape: not kept here

    def keep(self, follows: Follows, output: str, exit_code: int) -> None:
        """Keep an answer to the command."""
        entry = {
            "until": follows.until.isoformat() if follows.until is not None else None,
            "included": [dict(included) for included in follows.included],
            "output": output,
            "exit_code": exit_code,
        }
        self.cache.keep(self.key, json.dumps(entry).encode())


def look_back(
    cache: Path, paths: Sequence[Path], *, settings: Path | None, asked: Sequence[str | int | None]
) -> Earlier | None:
    """Return what may be known of a check of `paths`, `asked` in this way; None where more speaks than the files do.

    Raises what the check itself would raise for a path that is not there.
    """
    root = find_root(paths[0])
    if find_named_settings(settings) is not None or os.path.lexists(root / _WAIVERS):
        return None
    opened = open_cache(cache, outside=root)
    if opened is None:
        return None
    sources = list(find_sources(paths))
    if not sources or any(source.found.content is None for source in sources):
        return None
    try:
        project = read_beneath(root, PROJECT_FILE) if (root / PROJECT_FILE).exists() else None
    except PolicydError:
        return None
    files = [(source.shown, source.from_root(root), source.named, sha256_hex(source.content)) for source in sources]
    follows_from = [_FORMAT, "answer", list(asked), digest_code(), os.fspath(root), _digest(project), files]
    return Earlier(sources, opened, sha256_hex(json.dumps(follows_from).encode()))


def digest_code() -> str:
    """Return the digest of policyd, its library and what it is installed with: by size and time, as they change."""
    installed = Path(click.__file__).resolve().parents[1]
    state = installed.stat()  # changes whenever a package comes or goes
    parts = [
        __version__,
        sys.version,
        str(installed),
        state.st_mtime_ns,
        _states(_CODE, ".py"),
        _states(library_folder()),
    ]
    return sha256_hex(json.dumps(parts).encode())


def _states(folder: Path, suffix: str = "") -> list[tuple[str, int, int]]:
    found: list[tuple[str, int, int]] = []
    pending = [str(folder)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in ("__pycache__", "_data"):
                        pending.append(entry.path)
                elif entry.name.endswith(suffix):
                    state = entry.stat()
                    found.append((entry.path, state.st_size, state.st_mtime_ns))
    return sorted(found)


def _digest(content: bytes | None) -> Sha256 | None:
    return None if content is None else sha256_hex(content)
