"""The compliance frameworks that come with policyd, as data beside the rule library."""

from __future__ import annotations

from policyd.adapters.library import library_folder
from policyd.compliance.frameworks import read_framework
from policyd.compliance.models import Framework


def read_frameworks() -> tuple[Framework, ...]:
    """Return every framework of the library, by file name."""
    folder = library_folder() / "frameworks"
    return tuple(read_framework(path.name, path.read_bytes()) for path in sorted(folder.glob("*.json")))
