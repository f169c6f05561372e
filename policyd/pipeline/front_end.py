"""What a front end is: the part that knows one CI system's files.

It is a package of `policyd.pipeline` whose `__init__` has three functions, light to import:

- `kind_by_path(path)`: what the system itself takes a file for by its path alone, or None;
- `kind_by_content(path, content)`: what a file elsewhere looks like, or None; it sees at least the first 16 KiB;
- `read(path, content, kind, included)`: the file, read into facts (`FrontEndRead`).

docs/front-ends.md says how to write one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from policyd.models.facts import Facts
from policyd.models.pipeline import PipelineFile
from policyd.pipeline.links import NO_LINKS, Links
from policyd.pipeline.source_map import SourceMap

#: Other files of the repository that a pipeline refers to: path from the repository's root → content, `None` where
#: there is no such file or it can't be read.
Included = Mapping[str, bytes | None]


@dataclass(frozen=True, slots=True)
class FrontEndRead:
    """A file as its front end read it. `missing` are files it refers to that were not handed in yet."""

    document: object
    facts: Facts
    source_map: SourceMap
    name: str = ""
    missing: tuple[str, ...] = ()
    native: PipelineFile | None = None
    links: Links = NO_LINKS
