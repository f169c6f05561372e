"""Which system a file is for, and what it is to that system, by its path and how it begins.

A check looks at every YAML file of a repository with this, before it knows whether there is anything to judge: what is
imported here is light, and what reads a file is imported by whoever reads one.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    from policyd.models.input import Dialect, PipelineKind

#: In the order in which they are asked; what is told by path comes before what is told by content.
DIALECTS: tuple[Dialect, ...] = ("policyd", "github", "gitlab", "azure", "tekton")


def find_dialect(path: str, content: bytes) -> Dialect | None:
    """Return the system that a file is for, `None` if nothing shows it."""
    found = find_kind(path, content)
    return found[0] if found else None


def find_kind(path: str, content: bytes) -> tuple[Dialect, PipelineKind] | None:
    """Return system and kind of a file: by its path as the systems go by it, else by how it begins."""
    by_path = find_kind_by_path(path)
    return by_path if by_path is not None else find_kind_by_content(path, content)


def find_kind_by_path(path: str) -> tuple[Dialect, PipelineKind] | None:
    """Return what a system takes the file at `path` for; it looks at nothing else."""
    for dialect in DIALECTS:
        kind: PipelineKind | None = find_front_end(dialect).kind_by_path(path)
        if kind is not None:
            return dialect, kind
    return None


def find_kind_by_content(path: str, content: bytes) -> tuple[Dialect, PipelineKind] | None:
    """Return what a YAML file looks like; its beginning is enough."""
    for dialect in DIALECTS:
        kind: PipelineKind | None = find_front_end(dialect).kind_by_content(path, content)
        if kind is not None:
            return dialect, kind
    return None


def find_front_end(dialect: Dialect) -> ModuleType:
    """Return the package that knows a system's files (front_end.py)."""
    return import_module(f"policyd.pipeline.{'native' if dialect == 'policyd' else dialect}")
