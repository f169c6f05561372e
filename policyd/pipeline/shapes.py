"""What the values of a file have to be: a mapping, a list, a text. The base of what reads a system's files.

The format belongs to the system, so only what the system would refuse too is refused here, with the place of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Generic, Literal, NoReturn, TypeVar

from policyd.errors import DocumentError
from policyd.models.base import JsonPath
from policyd.pipeline.characters import quoted
from policyd.pipeline.source_map import SourceMap

#: How a front end says where a value stands: by its path in the one file there is, or by a part that knows its file.
At = TypeVar("At")


class Shapes(Generic[At]):
    """Requires shapes of values. A front end names its `system` and says what its places mean (`locate`)."""

    __slots__ = ()
    system: ClassVar[str]

    def locate(self, at: At) -> tuple[SourceMap, JsonPath]:
        """Return the map of the file that a value is written in, and its path there."""
        raise NotImplementedError

    def refuse(self, cause: str, at: At, fix: str = "") -> NoReturn:
        """Raise `DocumentError` at a value."""
        source_map, path = self.locate(at)
        raise DocumentError(
            cause,
            where=source_map.where(path),
            fix=fix or f"correct the file; {self.system} would refuse it too",
        )

    def refuse_shape(self, value: object, at: At, what: str, shape: Literal["mapping", "list", "text"]) -> NoReturn:
        """Raise `DocumentError` at a value that is not of the shape it has to have; `what` names it."""
        self.refuse(f"{what} is {quoted(value)}, not a {shape}", at)

    def require_mapping(self, value: object, at: At, what: str) -> Mapping[str, object]:
        """Return `value` as a mapping; nothing at all is an empty one."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.refuse_shape(value, at, what, "mapping")
        return value

    def require_list(self, value: object, at: At, what: str) -> Sequence[object]:
        """Return `value` as a list; nothing at all is an empty one."""
        if value is None:
            return []
        if not isinstance(value, list):
            self.refuse_shape(value, at, what, "list")
        return value

    def require_text(self, value: object, at: At, what: str) -> str:
        """Return a scalar as the system hands it on: its characters. Nothing at all is an empty text."""
        if isinstance(value, str):
            return value
        if value is None:
            return ""
        if isinstance(value, dict | list):
            self.refuse_shape(value, at, what, "text")
        source_map, path = self.locate(at)
        return source_map.scalar_text(path) or ""
