"""Azure's expressions and macros: `${{ }}`, `$[ ]`, `$( )` and conditions, parsed into what they read.

Azure has three ways to put a value into a text. `${{ }}` is replaced when templates are expanded, `$(name)` as text
just before a step runs, `$[ ]` when a job starts. The language inside is one of functions: `eq(variables['a'], 'b')`.
Contexts are written with dots, as written but for the quotes: `variables.Build.Reason`.

Source: learn.microsoft.com "Expressions", "Define variables" (understand variable syntax).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

MAX_LENGTH = 20_000  # of one expression; real ones stay below 1,000
MAX_DEPTH = 50  # of calls in calls; Azure's own limit

#: Functions that yield true, false or a number whatever text they are given.
_HARMLESS = frozenset(
    (
        "always",
        "and",
        "canceled",
        "contains",
        "containsvalue",
        "counter",
        "endswith",
        "eq",
        "failed",
        "ge",
        "gt",
        "in",
        "le",
        "length",
        "lt",
        "ne",
        "not",
        "notin",
        "or",
        "startswith",
        "succeeded",
        "succeededorfailed",
        "xor",
    )
)
_CACHED_LENGTH = 400  # the same short expressions come again and again; long ones would only fill memory

MarkKind = Literal["template", "runtime", "macro"]


@dataclass(frozen=True, slots=True)
class Mark:
    """One `${{ }}`, `$[ ]` or `$( )` in a text: offsets with the signs, and what stands between them."""

    kind: MarkKind
    start: int
    end: int
    inner: str


@dataclass(frozen=True, slots=True)
class Node:
    """A part of an expression. `kind` is "literal", "context", "call" or "index".

    `name` is the context with dots or the function in lower case, `parts` the pieces of the context.
    """

    kind: Literal["literal", "context", "call", "index"]
    name: str = ""
    value: object = None  # of a literal: text, number, truth or None
    parts: tuple[str, ...] = ()
    below: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class ParsedExpression:
    """An expression; `root` is `None` where Azure could not read it either."""

    root: Node | None
    contexts: tuple[str, ...]
    functions: tuple[str, ...]
    #: Contexts whose text can become the value: those in comparisons and harmless functions are left out.
    flowing: tuple[Node, ...]
    computed: bool = False  # what it reads is named by a value: `variables[parameters.name]`


_TEMPLATE_OR_MACRO = re.compile(r"\$(?:\{\{|\(([A-Za-z0-9_][A-Za-z0-9_.\- ]{0,250})\))")
_NAME_WITH_SPACE = re.compile(r"\s")


def find_marks(text: str) -> list[Mark]:
    """Return the marks in a text, in order. A `${{` that is not closed reaches to the end.

    `$(name)` is found for any name; whether it is one of Azure's or a shell's own is for the caller to say.
    """
    if "$" not in text:
        return []
    whole = text.strip()
    if whole.startswith("$[") and whole.endswith("]"):
        start = text.index("$[")
        return [Mark("runtime", start, start + len(whole), whole[2:-1])]
    marks: list[Mark] = []
    position = 0
    while found := _TEMPLATE_OR_MACRO.search(text, position):
        if found[1] is not None:
            if not _NAME_WITH_SPACE.search(found[1]):
                marks.append(Mark("macro", found.start(), found.end(), found[1]))
            position = found.end()
            continue
        end = _end_of_template(text, found.end())
        close = min(len(text), end + 2)
        marks.append(Mark("template", found.start(), close, text[found.end() : end]))
        position = close
    return marks


def whole_template(text: str) -> str | None:
    """Return the expression if the whole text is one `${{ }}`, else `None`."""
    stripped = text.strip()
    if not stripped.startswith("${{") or not stripped.endswith("}}"):
        return None
    end = _end_of_template(stripped, 3)
    return stripped[3:end] if end + 2 == len(stripped) else None


def _end_of_template(text: str, position: int) -> int:
    """Return where the `}}` stands that closes an expression: the first one outside a '...' literal."""
    quoted = False
    while True:
        quote, close = text.find("'", position), text.find("}}", position)
        if close < 0 or (quoted and quote < 0):
            return len(text)
        if not quoted and (quote < 0 or close < quote):
            return close
        quoted, position = not quoted, quote + 1


def parse_expression(text: str) -> ParsedExpression:
    """Return the parsed expression (without its signs). Never raises: see `ParsedExpression.root`."""
    return _parse_cached(text) if len(text) <= _CACHED_LENGTH else _parse(text)


def _parse(text: str) -> ParsedExpression:
    try:
        root = _Parser(text).read() if len(text) <= MAX_LENGTH else None
    except _UnreadableError:
        root = None
    if root is None:
        # Whatever looks like a context counts as flowing: what can't be read is never harmless.
        seen = tuple(_context([one[0] for one in _PIECE.finditer(found[0])]) for found in _LOOSE.finditer(text))
        return ParsedExpression(None, tuple(dict.fromkeys(node.name for node in seen)), (), seen)
    found = _Found()
    _collect(root, found, flows=True)
    return ParsedExpression(
        root,
        tuple(dict.fromkeys(found.contexts)),
        tuple(dict.fromkeys(found.functions)),
        tuple(found.flowing),
        found.computed,
    )


_parse_cached = lru_cache(maxsize=4096)(_parse)

_LOOSE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,200}(?:\.[A-Za-z_][A-Za-z0-9_]{0,200}|\['[^']{0,200}'\])+")
_PIECE = re.compile(r"[^.\[\]']+(?:\.[^.\[\]']+)*(?='\])|[^.\[\]']+")


@dataclass(slots=True)
class _Found:
    contexts: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    flowing: list[Node] = field(default_factory=list)
    computed: bool = False


def _collect(root: Node, found: _Found, *, flows: bool) -> None:
    if root.kind == "context":
        found.contexts.append(root.name)
        if flows:
            found.flowing.append(root)
    elif root.kind == "call":
        found.functions.append(root.name)
        flows = flows and root.name not in _HARMLESS
        for index, below in enumerate(root.below):
            # The first argument of `iif` is only asked.
            _collect(below, found, flows=flows and not (root.name == "iif" and index == 0))
    elif root.kind == "index":
        found.computed = found.computed or root.below[1].kind != "literal"
        _collect(root.below[0], found, flows=flows)
        _collect(root.below[1], found, flows=False)


class _UnreadableError(Exception):
    """Azure would refuse the expression."""


_TOKEN = re.compile(
    r"[ \t\r\n]*(?:(?P<text>'(?:[^']|'')*')|(?P<name>[A-Za-z_][A-Za-z0-9_-]*)|(?P<number>[-+.]?[0-9][0-9A-Za-z.]*)"
    r"|(?P<sign>[()\[\],.*])|(?P<end>\Z))"
)
_LITERALS: dict[str, object] = {"true": True, "false": False, "null": None}


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    while True:
        found = _TOKEN.match(text, position)
        if found is None:
            raise _UnreadableError
        kind = found.lastgroup or ""
        yield kind, found[kind]
        if kind == "end":
            return
        position = found.end()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._position = 0

    def read(self) -> Node:
        node = self._value(0)
        if self._kind != "end":
            raise _UnreadableError
        return node

    @property
    def _kind(self) -> str:
        return self._tokens[self._position][0]

    @property
    def _sign(self) -> str:
        kind, text = self._tokens[self._position]
        return text if kind == "sign" else ""

    def _take(self) -> tuple[str, str]:
        token = self._tokens[self._position]
        if token[0] == "end":
            raise _UnreadableError
        self._position += 1
        return token

    def _expect(self, sign: str) -> None:
        if self._take() != ("sign", sign):
            raise _UnreadableError

    def _value(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise _UnreadableError
        kind, text = self._take()
        if kind == "text":
            return Node("literal", value=text[1:-1].replace("''", "'"))
        if kind == "number":
            return Node("literal", value=_number(text))
        if kind != "name":
            raise _UnreadableError
        if self._sign == "(":
            node = Node("call", text.lower(), below=tuple(self._arguments(depth)))
        elif text.lower() in _LITERALS and self._sign not in (".", "["):
            return Node("literal", value=_LITERALS[text.lower()])
        else:
            node = _context([text])
        return self._steps(node, depth)

    def _arguments(self, depth: int) -> Iterator[Node]:
        self._expect("(")
        if self._sign == ")":
            self._take()
            return
        while True:
            yield self._value(depth + 1)
            if self._sign != ",":
                break
            self._take()
        self._expect(")")

    def _steps(self, node: Node, depth: int) -> Node:
        while self._sign in (".", "["):
            if self._take()[1] == ".":
                kind, text = self._take()
                if kind not in ("name", "number") and text != "*":
                    raise _UnreadableError
                index = Node("literal", value=text)
            else:
                if self._sign == "*":
                    self._take()
                    index = Node("literal", value="*")
                else:
                    index = self._value(depth + 1)
                self._expect("]")
            if node.kind == "context" and index.kind == "literal":
                node = _context([*node.parts, _plain(index.value)])
            else:
                depth += 1
                if depth > MAX_DEPTH:
                    raise _UnreadableError
                node = Node("index", below=(node, index))
        return node


def _context(parts: list[str]) -> Node:
    return Node("context", ".".join(parts), parts=tuple(parts))


def _plain(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _number(text: str) -> object:
    """Return a number, or the text of a version such as `1.2.3`."""
    try:
        return float(text) if len(text) < 50 and text.lower().strip("+-.0123456789") == "" else text
    except ValueError:
        return text
