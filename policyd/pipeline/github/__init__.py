"""GitHub Actions: workflows, actions and `dependabot.yml`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from policyd.models.input import PipelineKind
    from policyd.pipeline.front_end import FrontEndRead, Included


def kind_by_path(path: str) -> PipelineKind | None:
    """Return what GitHub takes the file at `path` for; it looks at nothing else."""
    parts = path.split("/")
    if not parts[-1].endswith((".yml", ".yaml")):
        return None
    if parts[-3:-1] == [".github", "workflows"]:
        return "workflow"
    if parts[-2:-1] == [".github"] and parts[-1] in ("dependabot.yml", "dependabot.yaml"):
        return "settings"
    return "action" if parts[-1] in ("action.yml", "action.yaml") else None


def kind_by_content(path: str, content: bytes) -> PipelineKind | None:
    """Return what a file elsewhere looks like."""
    if path.rpartition("/")[2] in ("dependabot.yml", "dependabot.yaml") and _has_key(content, b"updates"):
        return "settings"
    if _has_key(content, b"jobs") and _has_key(content, b"on"):
        return "workflow"
    if _has_key(content, b"runs") and re.search(rb"^[ \t]+using[ \t]*:", content, re.MULTILINE):
        return "action"
    return None


def read(path: str, content: bytes, kind: PipelineKind, _included: Included) -> FrontEndRead:
    """Return the facts of a workflow, an action or `dependabot.yml`. Raises `DocumentError` where it is none."""
    from policyd.pipeline.yaml_reader import read_yaml_with_places

    document = read_yaml_with_places(content, file=path)
    if kind == "settings":
        from policyd.pipeline.github.dependabot import read_dependabot

        return read_dependabot(document)
    if kind == "action":
        from policyd.pipeline.github.actions import read_action

        return read_action(document)
    from policyd.pipeline.github.workflows import read_workflow

    return read_workflow(document)


def _has_key(content: bytes, key: bytes) -> bool:
    return re.search(rb"^[\"']?" + key + rb"[\"']?[ \t]*:", content, re.MULTILINE) is not None
