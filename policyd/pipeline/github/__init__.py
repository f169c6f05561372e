"""GitHub Actions: workflows, actions, and the files beside them."""

from __future__ import annotations

import re

from policyd.models.input import PipelineKind
from policyd.pipeline.front_end import FrontEndRead, Included


def kind_by_path(path: str) -> PipelineKind | None:
    """Return what GitHub takes the file at `path` for; it looks at nothing else."""
    parts = path.split("/")
    if not parts[-1].endswith((".yml", ".yaml")):
        return None
    if parts[-3:-1] == [".github", "workflows"]:
        return "workflow"
    return "action" if parts[-1] in ("action.yml", "action.yaml") else None


def kind_by_content(_path: str, content: bytes) -> PipelineKind | None:
    """Return what a file elsewhere looks like."""
    if _has_key(content, b"jobs") and _has_key(content, b"on"):
        return "workflow"
    if _has_key(content, b"runs") and re.search(rb"^[ \t]+using[ \t]*:", content, re.MULTILINE):
        return "action"
    return None


def read(path: str, content: bytes, kind: PipelineKind, _included: Included) -> FrontEndRead:
    """Return the facts of a workflow or action. Raises `DocumentError` where it is none."""
    from policyd.pipeline.github.workflows import find_action_facts, find_workflow_facts
    from policyd.pipeline.yaml_reader import read_yaml_with_places

    document = read_yaml_with_places(content, file=path)
    find = find_workflow_facts if kind == "workflow" else find_action_facts
    facts, source_map = find(document)
    name = document.value.get("name") if isinstance(document.value, dict) else None
    return FrontEndRead(document.value, facts, source_map, name if isinstance(name, str) else "")


def _has_key(content: bytes, key: bytes) -> bool:
    return re.search(rb"^[\"']?" + key + rb"[\"']?[ \t]*:", content, re.MULTILINE) is not None
