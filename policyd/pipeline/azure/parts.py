"""Parts of an Azure pipeline that know where they stand, also when a template puts them elsewhere.

A `Part` is a value with the file and path it was written at, and the names that `${{ }}` in it can read: parameters of
its file and variables of the loops around it. What a template is given keeps the names of the file that gave it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from policyd.models.base import JsonPath
from policyd.pipeline.azure.conditions import ANY, Reach
from policyd.pipeline.source_map import SourceMap, Spot


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file. `source` is its map where it is not the file judged, as `Spot.source` wants it."""

    path: str
    map: SourceMap
    source: SourceMap | None = None


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a file. `value` is what it stands for: what a caller gave, else its default.

    `open` says that it can be something else: who starts the pipeline chooses, or a caller that is not known.
    """

    name: str
    kind: str = ""
    value: Part | None = None
    constrained: bool = False  # to values that the file lists, or to numbers and truths
    open: bool = False
    given: bool = False


@dataclass(frozen=True, slots=True)
class Names:
    """What `${{ }}` can read in a file, but for variables: parameters, and variables of loops."""

    parameters: Mapping[str, Parameter] = field(default_factory=dict)  # in lower case
    loops: Mapping[str, Part] = field(default_factory=dict)  # in lower case
    files: tuple[str, ...] = ()  # the templates that led here


class Part(NamedTuple):
    """A value and where it is written. `entries` or `items` are its parts where they were put together.

    `reach` is what `${{ if }}` around it asks for.
    """

    value: object
    path: JsonPath
    file: SourceFile
    names: Names
    reach: Reach = ANY
    entries: dict[str, Part] | None = None
    items: tuple[Part, ...] | None = None

    def spot(self, start: int = -1, end: int = -1) -> Spot:
        """Return the place of the part, or of characters `start` to `end` of it."""
        return Spot(self.path, start, end, self.file.source)

    def where(self) -> str:
        """Return `file:line:column`, for error messages."""
        return self.file.map.where(self.path)

    def below(self, step: str | int, value: object) -> Part:
        """Return a part of this one."""
        return Part(value, (*self.path, step), self.file, self.names, self.reach)

    @property
    def is_mapping(self) -> bool:
        """Whether the value is a mapping."""
        return self.entries is not None or isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        """Whether the value is a list."""
        return self.items is not None or (isinstance(self.value, list) and self.entries is None)


class _Unknown:
    """The value of what only Azure can see: a parameter that a caller gives, a template of another repository."""

    def __repr__(self) -> str:
        return "unknown"


UNKNOWN: Final = _Unknown()
