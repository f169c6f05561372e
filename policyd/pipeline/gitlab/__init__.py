"""gitlab: written next."""

from __future__ import annotations

from policyd.models.input import PipelineKind
from policyd.pipeline.front_end import FrontEndRead, Included


def kind_by_path(_path: str) -> PipelineKind | None:
    """Return what the system takes the file at `path` for."""
    return None


def kind_by_content(_path: str, _content: bytes) -> PipelineKind | None:
    """Return what a file elsewhere looks like."""
    return None


def read(path: str, content: bytes, kind: PipelineKind, included: Included) -> FrontEndRead:
    """Return the facts of a file."""
    raise NotImplementedError
