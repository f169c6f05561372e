"""Parts of a GitLab configuration that know where they stand, through merging and in other files.

A job of GitLab is put together from many places: included files, `extends`, `default`, `!reference`. A `Part` is a
value with the file and path it was written at, so that whatever is put together, each piece still points at its text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from policyd.models.base import JsonPath
from policyd.pipeline.source_map import SourceMap, Spot


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One document of a file. `source` is its map where it is not the document judged, as `Spot.source` wants it."""

    map: SourceMap
    source: SourceMap | None = None
    inputs: Mapping[str, Input] = field(default_factory=dict)
    included: bool = False


class Part(NamedTuple):
    """A value and where it is written. `entries` are its parts where it was merged from several mappings."""

    value: object
    path: JsonPath
    file: SourceFile
    entries: dict[str, Part] | None = None

    def spot(self, start: int = -1, end: int = -1) -> Spot:
        """Return the place of the part, or of characters `start` to `end` of it."""
        return Spot(self.path, start, end, self.file.source)

    def where(self) -> str:
        """Return `file:line:column`, for error messages."""
        return self.file.map.where(self.path)

    @property
    def is_mapping(self) -> bool:
        """Whether the value is a mapping."""
        return self.entries is not None or isinstance(self.value, dict)


@dataclass(frozen=True, slots=True)
class Input:
    """One input: what limits it, and what it is as far as the files say.

    `value` is the default or what an including file gives, `text` that as characters. `untrusted` says that whoever
    starts or includes the file judged chooses it, `expands_untrusted` that `expand_vars` puts an outsider's text in it.
    """

    name: str
    constrained: bool
    value: Part | None = None
    text: str | None = None
    untrusted: bool = True
    expands_untrusted: bool = False


class _Unknown:
    """The value of what only GitLab can see: something of an included file that lies elsewhere."""

    def __repr__(self) -> str:
        return "unknown"


UNKNOWN: Final = _Unknown()


def entries_of(part: Part) -> dict[str, Part]:
    """Return the parts of a mapping by name; do not change them."""
    if part.entries is not None:
        return part.entries
    if not isinstance(part.value, dict):
        return {}
    path, file = part.path, part.file
    return {name: Part(value, (*path, name), file) for name, value in part.value.items()}


def items_of(part: Part) -> list[Part]:
    """Return the parts of a list."""
    if not isinstance(part.value, list):
        return []
    return [Part(value, (*part.path, index), part.file) for index, value in enumerate(part.value)]


def merge(base: Part, over: Part) -> tuple[Part, int]:
    """Return `base` with `over` put on it, mapping by mapping, and how many entries that took.

    Lists and scalars replace each other, as in `extends` and `include`. The whole stands where `over` does.
    """
    merged = dict(entries_of(base))
    count = len(merged)
    for name, part in entries_of(over).items():
        below = merged.get(name)
        count += 1
        if below is not None and below.is_mapping and part.is_mapping:
            merged[name], more = merge(below, part)
            count += more
        else:
            merged[name] = part
    return Part(over.value, over.path, over.file, merged), count
