"""The source map: from a path into `input` back to file, line and column.

Two kinds of paths are known. `("document", "jobs", "build", 0, ...)` walks the parsed file. `("commands", 3, ...)`
names a fact, and facts may lie inside a scalar: a command on the seventh line of a `run: |` script has its place
there, not at `run`. Positions inside scalars are worked out only when somebody asks.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from policyd.models.base import JsonPath
from policyd.models.decision import Place

#: What ends a line in YAML 1.2.
LINE_END = re.compile(r"\r\n|\n|\r")
_COMMENT = re.compile(r"[ \t,}\]]*[ \t]#([^\r\n]*)")
_WHITE = frozenset(" \t\r\n")
#: Double-quoted escapes that stand for white space, which line folding may also make or drop.
_WHITE_ESCAPES = {" ": " ", "\t": "\t", "t": "\t", "n": "\n", "r": "\r"}
_HEX_ESCAPES = {"x": 2, "u": 4, "U": 8}


class ScalarNode(NamedTuple):
    """Where a scalar stands: characters `start` to `end` of the text; `style` is YAML's indicator, "" for plain."""

    start: int
    end: int
    style: str
    value: str


class MappingNode:
    """Where a mapping stands, with its keys and values."""

    __slots__ = ("end", "entries", "start")

    def __init__(self, start: int, end: int) -> None:
        self.start, self.end = start, end
        self.entries: dict[str, tuple[ScalarNode, Node]] = {}


class SequenceNode:
    """Where a sequence stands, with its items."""

    __slots__ = ("end", "items", "start")

    def __init__(self, start: int, end: int) -> None:
        self.start, self.end = start, end
        self.items: list[Node] = []


class AliasNode(NamedTuple):
    """Where an alias stands; what lies below it stands at its anchor."""

    start: int
    end: int
    target: Any  # a Node; NamedTuple can't say so of itself


Node = ScalarNode | MappingNode | SequenceNode | AliasNode


class Spot(NamedTuple):
    """A part of the document: a path and, inside a scalar, the characters from `start` to `end` of its value.

    `source` is the map of the file it stands in where that is another one: a template, an included file.
    """

    path: JsonPath
    start: int = -1
    end: int = -1
    source: SourceMap | None = None


class SourceMap:
    """Finds places in one file. `facts` says for each list of facts where every item stands."""

    def __init__(self, file: str, text: str, root: Node, facts: Mapping[str, Sequence[Spot]] | None = None) -> None:
        self.file = file
        self.text = text
        self._root = root
        self._facts = dict(facts or {})
        self._line_starts: list[int] | None = None
        self._offsets: dict[int, list[int]] = {}

    def with_facts(self, facts: Mapping[str, Sequence[Spot]]) -> SourceMap:
        """Return the same map with other facts."""
        return SourceMap(self.file, self.text, self._root, facts)

    def with_more(self, kind: str, spots: Sequence[Spot]) -> SourceMap:
        """Return the same map with more facts at the end of the list `kind`."""
        return self.with_facts({**self._facts, kind: [*self._facts.get(kind, ()), *spots]})

    def with_text(self, text: str) -> SourceMap:
        """Return the same map over another text of the same length: what the file says where a reader saw stand-ins."""
        return SourceMap(self.file, text, self._root, self._facts)

    def spot(self, at: JsonPath) -> Spot | None:
        """Return the part of the document that a path into `input` speaks of, or `None` where it names none."""
        if not at:
            return None
        if at[0] == "document":
            return Spot(at[1:])
        spots = self._facts.get(str(at[0]))
        if spots is None or len(at) < 2 or not isinstance(at[1], int) or not 0 <= at[1] < len(spots):
            return None
        return spots[at[1]]

    def place(self, at: JsonPath) -> Place | None:
        """Return where `at`, a path into `input`, stands; the nearest enclosing part if it goes deeper than the file.

        `None` where `at` names neither the document nor a fact of this file.
        """
        spot = self.spot(at)
        if spot is None:
            return None
        source = spot.source or self
        if spot.start >= 0:
            return source.place_inside(spot.path, spot.start, spot.end)
        return source.place_of(spot.path)

    def place_of(self, path: JsonPath, *, key: bool = False) -> Place:
        """Return the place of the part of the document at `path`, or of the nearest part that encloses it.

        A scalar's place is the value, a mapping's or sequence's the key that leads to it; `key` asks for the key
        always.
        """
        node, name, _ = self._walk(path)
        if name is not None and (key or isinstance(node, MappingNode | SequenceNode)):
            return self._place(name.start, name.end)
        if isinstance(node, MappingNode) and node.entries:
            first = next(iter(node.entries.values()))[0]
            return self._place(first.start, first.end)
        if isinstance(node, SequenceNode):
            return self._place(node.start, node.start + 1)
        return self._place(node.start, node.end)

    def place_inside(self, path: JsonPath, start: int, end: int) -> Place:
        """Return the place of characters `start` to `end` (exclusive) of the scalar at `path`."""
        node, _, depth = self._walk(path)
        if isinstance(node, AliasNode):
            node = node.target
        if not isinstance(node, ScalarNode) or not node.value or depth < len(path):
            return self.place_of(path)
        offsets = self._offsets.get(node.start)
        if offsets is None:
            offsets = self._offsets[node.start] = _offsets_of(node, self.text)
        last = len(offsets) - 1
        first = offsets[max(0, min(start, last))]
        return self._place(first, max(first, offsets[max(0, min(end - 1, last))]) + 1)

    def scalar_text(self, path: JsonPath) -> str | None:
        """Return the characters of the scalar at `path` before any type was given to them (`1.10`, not 1.1)."""
        node, _, depth = self._walk(path)
        if isinstance(node, AliasNode):
            node = node.target
        return node.value if isinstance(node, ScalarNode) and depth == len(path) else None

    def comment_after(self, path: JsonPath) -> str:
        """Return the comment that stands behind the scalar at `path` on its line, without its `#`; "" if none does."""
        node, _, depth = self._walk(path)
        if depth < len(path) or not isinstance(node, ScalarNode | AliasNode):
            return ""
        comment = _COMMENT.match(self.text, node.end)
        return comment[1].strip() if comment else ""

    def comment_on(self, path: JsonPath) -> str:
        """Return the comment behind the scalar at `path`, else the one on the line above it, without its `#`."""
        behind = self.comment_after(path)
        if behind:
            return behind
        _, name, depth = self._walk(path)
        if name is None or depth < len(path):
            return ""
        begin = self.text.rfind("\n", 0, name.start)
        above = self.text[self.text.rfind("\n", 0, max(begin, 0)) + 1 : max(begin, 0)].strip()
        return above[1:].strip() if above.startswith("#") else ""

    def where(self, path: JsonPath, *, key: bool = False) -> str:
        """Return `file:line:column` of `path`, for error messages."""
        place = self.place_of(path, key=key)
        return f"{place.file}:{place.line}:{place.column}"

    def where_inside(self, path: JsonPath, offset: int) -> str:
        """Return `file:line:column` of one character of the scalar at `path`."""
        place = self.place_inside(path, offset, offset + 1)
        return f"{place.file}:{place.line}:{place.column}"

    def where_offset(self, offset: int) -> str:
        """Return `file:line:column` of one character of the file."""
        place = self._place(offset, offset + 1)
        return f"{place.file}:{place.line}:{place.column}"

    def _walk(self, path: JsonPath) -> tuple[Node, ScalarNode | None, int]:
        """Return the part at `path` or nearest above it, the key that leads there, and how many steps were taken."""
        node, name = self._root, None
        for depth, step in enumerate(path):
            below = node.target if isinstance(node, AliasNode) else node
            if isinstance(below, MappingNode) and isinstance(step, str) and step in below.entries:
                name, node = below.entries[step]
            elif isinstance(below, SequenceNode) and isinstance(step, int) and 0 <= step < len(below.items):
                name, node = None, below.items[step]
            else:
                return node, name, depth
        return node, name, len(path)

    def _place(self, start: int, end: int) -> Place:
        if self._line_starts is None:
            self._line_starts = [0, *(match.end() for match in LINE_END.finditer(self.text))]
        line = bisect_right(self._line_starts, start)
        end_line = bisect_right(self._line_starts, max(start, end - 1))
        return Place(
            file=self.file,
            line=line,
            column=start - self._line_starts[line - 1] + 1,
            end_line=end_line,
            end_column=end - self._line_starts[end_line - 1] + 1,
        )


def join_documents(file: str, maps: Sequence[SourceMap]) -> SourceMap:
    """Return one map of several documents of a file: a path begins with the number of the document, from 0 on."""
    root = SequenceNode(0, 0)
    root.items = [one._root for one in maps]
    return SourceMap(file, maps[0].text if maps else "", root)


def _offsets_of(node: ScalarNode, text: str) -> list[int]:
    """Return for each character of a scalar's value where it stands in the text.

    Folding and indentation only add or drop white space and keep everything else in order, so the other characters
    are matched one by one and white space is placed between them. Escapes of quoted scalars are read as YAML reads
    them. Source: YAML 1.2.2, sections 5.7, 7.3 and 8.1.
    """
    if node.style in ("|", ">"):
        header = LINE_END.search(text, node.start, node.end)
        position = header.end() if header else node.end
    elif node.style:
        position = text.find(node.style, node.start, node.end) + 1
    else:
        position = _after_properties(text, node.start, node.end)
    offsets: list[int] = []
    last = max(node.start, node.end - 1)
    for character in node.value:
        if character in _WHITE:
            width, stands_for = _unit(text, position, node.style)
            offsets.append(min(position, last))
            if stands_for is not None and stands_for in _WHITE:
                position += width
            continue
        while position < node.end:
            width, stands_for = _unit(text, position, node.style)
            if stands_for is not None and stands_for not in _WHITE:
                break
            position += width
        offsets.append(min(position, last))
        position += _unit(text, position, node.style)[0]
    return offsets


def _after_properties(text: str, start: int, end: int) -> int:
    """Return where a plain scalar begins behind its tag and anchor; no plain scalar begins with their signs."""
    position = start
    while position < end and text[position] in "&!":
        while position < end and text[position] not in _WHITE:
            position += 1
        while position < end and text[position] in _WHITE:
            position += 1
    return position


def _unit(text: str, position: int, style: str) -> tuple[int, str | None]:
    """Return how many characters of the text make one of the value, and that one (`None` for a folded line end)."""
    character = text[position : position + 1]
    if style == "'" and character == "'":
        return 2, "'"
    if style != '"' or character != "\\":
        return 1, character or "x"
    kind = text[position + 1 : position + 2]
    if kind in ("\n", "\r"):
        return 2, None
    if kind in _HEX_ESCAPES:
        width = _HEX_ESCAPES[kind]
        return 2 + width, chr(int(text[position + 2 : position + 2 + width], 16))
    return 2, _WHITE_ESCAPES.get(kind, "x")
