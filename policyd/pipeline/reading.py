"""One pipeline file, read: which system it is for, what rules see of it, and where each part stands.

The bytes come in frozen and are kept: what is judged here is what is hashed and run (docs/architecture.md, "One run").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from policyd.models.facts import Facts
from policyd.models.input import Dialect, PipelineRef
from policyd.models.pipeline import PipelineFile
from policyd.pipeline.source_map import SourceMap
from policyd.pipeline.yaml_reader import read_yaml_with_places

Kind = Literal["pipeline", "workflow", "action"]


@dataclass(frozen=True, slots=True)
class ReadPipeline:
    """A pipeline file as policyd judges it. `document` is JSON-like and shared: nobody changes it."""

    ref: PipelineRef
    facts: Facts
    document: object
    source_map: SourceMap
    content: bytes
    native: PipelineFile | None


def read_pipeline(path: str, content: bytes) -> ReadPipeline:
    """Return the pipeline in `content`; `path`, with forward slashes, is its name and tells what GitHub takes it for.

    A file that shows no dialect is read as a native pipeline, so that the error says what one begins with. Raises
    `DocumentError` or `InputTooLarge` with `file:line:column`.
    """
    dialect, kind = find_kind(path, content) or ("policyd", "pipeline")
    document = read_yaml_with_places(content, file=path)
    native: PipelineFile | None = None
    # Each front end is imported where it is needed: most calls read one dialect.
    if dialect == "policyd":
        from policyd.pipeline.native import read_native
        from policyd.pipeline.native_facts import find_native_facts

        native = read_native(document)
        facts, source_map = find_native_facts(native, document.source_map)
    elif kind == "workflow":
        from policyd.pipeline.github import find_workflow_facts

        facts, source_map = find_workflow_facts(document)
    else:
        from policyd.pipeline.github import find_action_facts

        facts, source_map = find_action_facts(document)
    return ReadPipeline(
        ref=PipelineRef(path=path, dialect=dialect, kind=kind, name=_name_of(document.value, path)),
        facts=facts,
        document=document.value,
        source_map=source_map,
        content=content,
        native=native,
    )


def find_dialect(path: str, content: bytes) -> Dialect | None:
    """Return the system that a file is for, `None` if nothing shows it."""
    found = find_kind(path, content)
    return found[0] if found else None


def find_kind(path: str, content: bytes) -> tuple[Dialect, Kind] | None:
    """Return system and kind of a file: by its path as GitHub goes by it, else by how it begins."""
    by_path = find_kind_by_path(path)
    if by_path is not None:
        return by_path
    if begins_as_native(content):
        return "policyd", "pipeline"
    if _has_key(content, b"jobs") and _has_key(content, b"on"):
        return "github", "workflow"
    if _has_key(content, b"runs") and re.search(rb"^[ \t]+using[ \t]*:", content, re.MULTILINE):
        return "github", "action"
    return None


def find_kind_by_path(path: str) -> tuple[Dialect, Kind] | None:
    """Return what GitHub takes the file at `path` for; it looks at nothing else."""
    parts = path.split("/")
    if not parts[-1].endswith((".yml", ".yaml")):
        return None
    if parts[-3:-1] == [".github", "workflows"]:
        return "github", "workflow"
    return ("github", "action") if parts[-1] in ("action.yml", "action.yaml") else None


# Comments, blank lines and a document start may stand before the first key; JSON may open with a brace.
_NATIVE = re.compile(
    rb"(?:\xef\xbb\xbf)?+(?:[ \t]*+(?:#[^\r\n]*+|---[ \t]*+(?:#[^\r\n]*+)?)?[\r\n])*+[ \t{\r\n]*+"
    rb"[\"']?policyd[\"']?[ \t]*:[ \t]*[\"']?pipeline/"
)


def begins_as_native(content: bytes) -> bool:
    """Say whether the first key is `policyd` and names a pipeline format. Looks at the beginning only."""
    return _NATIVE.match(content) is not None


def _has_key(content: bytes, key: bytes) -> bool:
    return re.search(rb"^[\"']?" + key + rb"[\"']?[ \t]*:", content, re.MULTILINE) is not None


def _name_of(document: object, path: str) -> str:
    name = document.get("name") if isinstance(document, dict) else None
    return name if isinstance(name, str) and name else path
