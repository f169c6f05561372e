"""One pipeline file, read: which system it is for, what rules see of it, and where each part stands.

The bytes come in frozen and are kept: what is judged here is what is hashed and run (docs/architecture.md, "One run").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from policyd.errors import InputTooLarge
from policyd.models.facts import Facts
from policyd.models.input import PipelineRef
from policyd.models.pipeline import PipelineFile
from policyd.pipeline.front_end import FrontEndRead
from policyd.pipeline.kinds import find_front_end, find_kind
from policyd.pipeline.links import NO_LINKS, Links
from policyd.pipeline.source_map import SourceMap

MAX_ROUNDS = 24  # of includes that include; Azure takes 20
MAX_INCLUDED = 256


@dataclass(frozen=True, slots=True)
class ReadPipeline:
    """A pipeline file as policyd judges it. `document` is JSON-like and shared: nobody changes it."""

    ref: PipelineRef
    facts: Facts
    document: object
    source_map: SourceMap
    content: bytes
    native: PipelineFile | None
    included: Mapping[str, bytes | None]
    links: Links = NO_LINKS


def read_pipeline(
    path: str, content: bytes, find_file: Callable[[str], bytes | None] = lambda _path: None
) -> ReadPipeline:
    """Return the pipeline in `content`; `path`, with forward slashes, is its name and tells what a system takes it for.

    `find_file` returns another file of the repository, which a system may include, or `None` where there is none that
    can be read. A file that shows no dialect is read as a native pipeline, so that the error says what one begins
    with. Raises `DocumentError` or `InputTooLarge` with `file:line:column`.
    """
    dialect, kind = find_kind(path, content) or ("policyd", "pipeline")
    front_end = find_front_end(dialect)
    included: dict[str, bytes | None] = {}
    for _ in range(MAX_ROUNDS):
        read = cast("FrontEndRead", front_end.read(path, content, kind, included))
        wanted = [name for name in read.missing if name not in included]
        if not wanted:
            break
        if len(included) + len(wanted) > MAX_INCLUDED:
            raise InputTooLarge(
                f"the pipeline includes more than {MAX_INCLUDED} files", where=path, fix="split the pipeline"
            )
        included.update((name, find_file(name)) for name in wanted)
    else:
        raise InputTooLarge(
            f"files are included more than {MAX_ROUNDS} deep in each other", where=path, fix="include less"
        )
    return ReadPipeline(
        ref=PipelineRef(path=path, dialect=dialect, kind=kind, name=read.name or path),
        facts=read.facts,
        document=read.document,
        source_map=read.source_map,
        content=content,
        native=read.native,
        included=included,
        links=read.links,
    )
