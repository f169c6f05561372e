"""policyd's own pipelines: `policyd: pipeline/v1` (docs/pipelines.md)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from policyd.models.input import PipelineKind
    from policyd.pipeline.front_end import FrontEndRead, Included


def kind_by_path(_path: str) -> PipelineKind | None:
    """Return None: no path makes a file a native pipeline."""
    return None


def kind_by_content(_path: str, content: bytes) -> PipelineKind | None:
    """Return "pipeline" where the first key is `policyd` and names a pipeline format."""
    return "pipeline" if _BEGINNING.match(content) else None


def read(path: str, content: bytes, _kind: PipelineKind, _included: Included) -> FrontEndRead:
    """Return the facts of a native pipeline. Raises `DocumentError` where it does not fit its schema."""
    from policyd.pipeline.front_end import FrontEndRead
    from policyd.pipeline.native.document import read_native
    from policyd.pipeline.native.facts import find_native_facts
    from policyd.pipeline.yaml_reader import read_yaml_with_places

    document = read_yaml_with_places(content, file=path)
    native = read_native(document)
    facts, source_map = find_native_facts(native, document.source_map)
    return FrontEndRead(document.value, facts, source_map, native.name, native=native)


# Comments, blank lines and a document start may stand before the first key; JSON may open with a brace.
_BEGINNING = re.compile(
    rb"(?:\xef\xbb\xbf)?+(?:[ \t]*+(?:#[^\r\n]*+|---[ \t]*+(?:#[^\r\n]*+)?)?[\r\n])*+[ \t{\r\n]*+"
    rb"[\"']?policyd[\"']?[ \t]*:[ \t]*[\"']?pipeline/"
)
