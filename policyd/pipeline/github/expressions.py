"""GitHub Actions expressions: what `${{ ... }}` reads, and what of it can come out as the value.

An expression is parsed, because `contains(github.event.issue.body, 'x')` yields true or false and is harmless in a
script, while `format('{0}', github.event.issue.body)` yields the body. Contexts are written in one way: dots,
lower case for what GitHub names, `*` for any index. What a context holds is said by `contexts.py`.

Sources: docs.github.com "Evaluate expressions in workflows and actions", "Contexts reference";
actions/languageservices, packages/expressions (grammar, limits).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

MAX_LENGTH = 21_000  # GitHub's own limit
MAX_DEPTH = 50  # GitHub's own limit

# Functions that yield true, false or a digest whatever text they are given.
_HARMLESS = frozenset(("contains", "startswith", "endswith", "success", "failure", "always", "cancelled", "hashfiles"))
#: Functions whose value depends on the run and not on what they are given.
_ABOUT_THE_RUN = frozenset(("success", "failure", "always", "cancelled", "hashfiles"))
_COMPARISONS = frozenset(("==", "!=", "<", "<=", ">", ">="))
_CACHED_LENGTH = 400  # the same short expressions come again and again; long ones would only fill memory


@dataclass(frozen=True, slots=True)
class Span:
    """One `${{ ... }}` in a text: offsets with the marks, and what stands between them."""

    start: int
    end: int
    inner: str


@dataclass(frozen=True, slots=True)
class Node:
    """A part of an expression. `kind` is "literal", "context", "call", "operator", "not" or "index"."""

    kind: str
    name: str = ""  # the context, function or operator
    value: object = None  # of a literal
    below: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class ParsedExpression:
    """An expression; `root` is `None` where GitHub could not read it either."""

    root: Node | None
    contexts: tuple[str, ...]
    #: Contexts whose text can become the value: those in comparisons and harmless functions are left out.
    flowing: tuple[str, ...]
    #: Contexts given to a function whole (`toJSON(github.event)`) that flow into the value.
    whole: tuple[str, ...]
    functions: tuple[str, ...] = ()  # in lower case
    parts: tuple[str, ...] = ()  # what is taken out of values: `head.sha` of `fromJSON(x).head.sha`
    ternary: bool = False  # `a && b || c` where b counts as false, so that c comes out whatever a is
    constant: bool = False  # a text that is always the same, and need not be computed
    computed: bool = False  # what it reads is named by a value: `secrets[matrix.name]`
    substring: bool = False  # `contains('a b', github.ref)`: part of a text where one of a list is meant


def find_expressions(text: str) -> list[Span]:
    """Return every `${{ ... }}` in `text`. One that is not closed reaches to the end.

    As GitHub does it: the first `}}` that is not inside a '...' literal ends an expression.
    """
    spans: list[Span] = []
    position = text.find("${{")
    while position >= 0:
        inner = end = position + 3
        quoted, close = False, text.find("}}", inner)
        while True:
            quote = text.find("'", end)
            if not quoted and 0 <= close < end:
                close = text.find("}}", end)
            if close < 0 or (quoted and quote < 0):
                end = len(text)
                break
            if not quoted and (quote < 0 or close < quote):
                end = close
                break
            quoted, end = not quoted, quote + 1
        spans.append(Span(position, min(len(text), end + 2), text[inner:end]))
        position = text.find("${{", spans[-1].end)
    return spans


def parse_expression(text: str) -> ParsedExpression:
    """Return the parsed expression (without its marks). Never raises: see `ParsedExpression.root`."""
    return _parse_cached(text) if len(text) <= _CACHED_LENGTH else _parse(text)


def _parse(text: str) -> ParsedExpression:
    tokens = list(_tokens(text)) if len(text) <= MAX_LENGTH else [("bad", "")]
    parser = _Parser(tokens)
    try:
        root = parser.read()
    except _UnreadableError:
        # Whatever looks like a context counts as flowing: what we can't read is never harmless.
        seen = tuple(dict.fromkeys(name for name in _loose_contexts(tokens)))
        return ParsedExpression(None, seen, seen, seen)
    found = _Found()
    _collect(root, found, flows=True, whole=False)
    return ParsedExpression(
        root,
        tuple(found.contexts),
        tuple(found.flowing),
        tuple(found.whole),
        tuple(found.functions),
        tuple(found.parts),
        found.ternary,
        _is_constant_text(root, found),
        found.computed,
        found.substring,
    )


_parse_cached = lru_cache(maxsize=4096)(_parse)


def is_always_true(root: Node) -> bool:
    """Say whether the value counts as true whatever the contexts are; a bare `true` or `always()` says so itself."""
    return root.kind != "literal" and _constant(root) is True


def possible_texts(node: Node) -> list[str]:
    """Return the texts written in an expression that it can yield, those of a list it holds as JSON included."""
    if node.kind == "literal":
        return [node.value] if isinstance(node.value, str) and node.value else []
    if node.kind == "operator" and node.name == "&&":
        return possible_texts(node.below[-1])
    if node.kind == "operator" and node.name == "||":
        return [text for side in node.below for text in possible_texts(side)]
    if node.kind == "call" and node.name == "fromjson" and len(node.below) == 1:
        return [text for one in possible_texts(node.below[0]) for text in literal_list(one)]
    return []


def literal_list(text: str) -> list[str]:
    """Return the texts of a JSON list of texts; empty for everything else."""
    if not text.lstrip().startswith("["):
        return []
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


# Tokens and grammar.

Token = tuple[str, str]
_TWO = frozenset(("==", "!=", "<=", ">=", "&&", "||"))


class _UnreadableError(Exception):
    """The text is no expression."""


def _tokens(text: str) -> Iterator[Token]:
    position, length = 0, len(text)
    while position < length:
        character = text[position]
        if character.isspace():
            position += 1
        elif character == "'":
            end, pieces = position + 1, []
            while True:
                close = text.find("'", end)
                if close < 0:
                    yield "bad", text[position:]
                    return
                pieces.append(text[end:close])
                end = close + 1
                if text[end : end + 1] != "'":
                    break
                pieces.append("'")
                end += 1
            yield "string", "".join(pieces)
            position = end
        elif character.isdigit() or (character in "+-." and text[position + 1 : position + 2].isdigit()):
            end = position + 1
            while end < length and (text[end].isalnum() or text[end] in ".+-"):
                end += 1
            yield "number", text[position:end]
            position = end
        elif character.isalpha() or character == "_":
            end = position + 1
            while end < length and (text[end].isalnum() or text[end] in "_-"):
                end += 1
            yield "name", text[position:end]
            position = end
        elif text[position : position + 2] in _TWO:
            yield text[position : position + 2], ""
            position += 2
        elif character in "()[].,!<>*":
            yield character, ""
            position += 1
        else:
            yield "bad", character
            position += 1


def _loose_contexts(tokens: Sequence[Token]) -> Iterator[str]:
    steps: list[str] = []
    for kind, text in (*tokens, ("end", "")):
        if kind == "name" and (not steps or steps[-1] == ""):
            steps = [*steps[:-1], text]
        elif kind == "." and steps:
            steps.append("")
        else:
            if len(steps) > 1:
                yield _written([step for step in steps if step])
            steps = [text] if kind == "name" else []


@dataclass(slots=True)
class _Parser:
    """or → and → comparison → not → postfix → primary, as GitHub's own precedence."""

    tokens: list[Token]
    position: int = 0
    depth: int = 0

    def read(self) -> Node:
        node = self._or()
        if self.position != len(self.tokens):
            raise _UnreadableError
        return node

    def _peek(self) -> str:
        return self.tokens[self.position][0] if self.position < len(self.tokens) else "end"

    def _take(self) -> Token:
        if self.position >= len(self.tokens):
            raise _UnreadableError
        self.position += 1
        return self.tokens[self.position - 1]

    def _expect(self, kind: str) -> None:
        if self._take()[0] != kind:
            raise _UnreadableError

    def _or(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _UnreadableError
        sides = [self._and()]
        while self._peek() == "||":
            self._take()
            sides.append(self._and())
        self.depth -= 1
        return sides[0] if len(sides) == 1 else Node("operator", "||", None, tuple(sides))

    def _and(self) -> Node:
        sides = [self._comparison()]
        while self._peek() == "&&":
            self._take()
            sides.append(self._comparison())
        return sides[0] if len(sides) == 1 else Node("operator", "&&", None, tuple(sides))

    def _comparison(self) -> Node:
        left, chained = self._not(), 0
        while self._peek() in _COMPARISONS:
            chained += 1
            if chained > MAX_DEPTH:
                raise _UnreadableError
            operator = self._take()[0]
            left = Node("operator", operator, None, (left, self._not()))
        return left

    def _not(self) -> Node:
        count = 0
        while self._peek() == "!":
            self._take()
            count += 1
        node = self._postfix()
        return Node("not", "!" * count, None, (node,)) if count else node

    def _postfix(self) -> Node:
        kind, text = self._take()
        if kind == "(":
            node = self._or()
            self._expect(")")
            return self._steps_after(node)
        if kind == "string":
            return Node("literal", "", text)
        if kind == "number":
            return Node("literal", "", _number(text))
        if kind != "name":
            raise _UnreadableError
        if self._peek() == "(":
            self._take()
            return self._steps_after(Node("call", text.lower(), None, self._arguments()))
        if text.lower() in ("true", "false", "null"):
            return Node("literal", "", {"true": True, "false": False, "null": None}[text.lower()])
        return self._context(text)

    def _arguments(self) -> tuple[Node, ...]:
        arguments: list[Node] = []
        while self._peek() != ")":
            arguments.append(self._or())
            if self._peek() != ",":
                break
            self._take()
        self._expect(")")
        return tuple(arguments)

    def _context(self, first: str) -> Node:
        steps, indices = [first], []
        while self._peek() in (".", "["):
            step, index = self._step()
            steps.append(step)
            if index is not None:
                indices.append(index)
        return Node("context", _written(steps), None, tuple(indices))

    def _steps_after(self, node: Node) -> Node:
        """Read `.name` and `[index]` behind a call or brackets; the value is a part of that of `node`."""
        below, steps = [node], []
        while self._peek() in (".", "["):
            step, index = self._step()
            steps.append(step)
            if index is not None:
                below.append(index)
        return Node("index", ".".join(steps).lower(), None, tuple(below)) if steps else node

    def _step(self) -> tuple[str, Node | None]:
        if self._take()[0] == ".":
            kind, text = self._take()
            if kind == "*":
                return "*", None
            if kind != "name":
                raise _UnreadableError
            return text, None
        if self._peek() == "*":
            self._take()
            self._expect("]")
            return "*", None
        index = self._or()
        self._expect("]")
        if index.kind == "literal" and isinstance(index.value, str) and index.value:
            return index.value, None
        return "*", None if index.kind == "literal" else index


_ANY_CASE = frozenset(("github", "steps", "needs", "runner", "inputs"))


def _written(steps: Sequence[str]) -> str:
    first = steps[0].lower()
    rest = [step.lower() for step in steps[1:]] if first in _ANY_CASE else steps[1:]
    return ".".join((first, *rest))


def _number(text: str) -> float:
    try:
        return float(int(text, 16)) if text.lower().startswith("0x") else float(text)
    except (ValueError, OverflowError):
        raise _UnreadableError from None


# What an expression reads and yields.


@dataclass(slots=True)
class _Found:
    contexts: dict[str, None] = field(default_factory=dict)
    flowing: dict[str, None] = field(default_factory=dict)
    whole: dict[str, None] = field(default_factory=dict)
    functions: dict[str, None] = field(default_factory=dict)
    parts: list[str] = field(default_factory=list)
    ternary: bool = False
    computed: bool = False
    substring: bool = False


def _collect(node: Node, found: _Found, *, flows: bool, whole: bool) -> None:
    # Depth is bounded by MAX_DEPTH in the parser.
    if node.kind == "context":
        found.contexts[node.name] = None
        if flows:
            found.flowing[node.name] = None
        if flows and whole:
            found.whole[node.name] = None
        for index in node.below:
            found.computed = True
            _collect(index, found, flows=False, whole=False)
    elif node.kind == "call":
        found.functions[node.name] = None
        found.substring |= _asks_for_a_part(node)
        passes = flows and node.name not in _HARMLESS
        for argument in node.below:
            _collect(argument, found, flows=passes, whole=True)
    elif node.kind == "operator" and node.name == "&&":
        # `a && b` yields b, or an a that counts as false: nothing that can hold text.
        for side in node.below[:-1]:
            _collect(side, found, flows=False, whole=False)
        _collect(node.below[-1], found, flows=flows, whole=whole)
    elif node.kind == "operator" and node.name == "||":
        for side in node.below[:-1]:
            found.ternary |= side.kind == "operator" and side.name == "&&" and _constant(side.below[-1]) is False
        for side in node.below:
            _collect(side, found, flows=flows, whole=whole)
    elif node.kind == "index":
        found.parts.append(node.name)
        _collect(node.below[0], found, flows=flows, whole=True)
        for index in node.below[1:]:
            _collect(index, found, flows=False, whole=False)
    else:
        for side in node.below:
            _collect(side, found, flows=False, whole=False)


def _constant(node: Node) -> bool | None:
    """Return whether the value counts as true or false; `None` where that depends on a context."""
    if node.kind == "literal":
        return bool(node.value)
    if node.kind == "not":
        inner = _constant(node.below[0])
        return None if inner is None else inner if len(node.name) % 2 == 0 else not inner
    if node.kind == "operator" and node.name in ("||", "&&"):
        sides = [_constant(side) for side in node.below]
        decides = node.name == "||"
        if decides in sides or (decides and _covers_everything(node.below)):
            return decides
        return None if None in sides else not decides
    if node.kind == "operator" and all(side.kind == "literal" for side in node.below) and node.name == "==":
        return node.below[0].value == node.below[1].value
    return None


def _covers_everything(sides: Sequence[Node]) -> bool:
    """Say whether one of `sides` holds whatever the context is: `x != 'a' || x != 'b'`."""
    differs: dict[str, set[object]] = {}
    for side in sides:
        if side.kind == "operator" and side.name == "!=" and [one.kind for one in side.below] == ["context", "literal"]:
            context, literal = side.below
            text = literal.value.lower() if isinstance(literal.value, str) else literal.value
            differs.setdefault(context.name, set()).add(text)
    return any(len(texts) > 1 for texts in differs.values())


def _is_constant_text(root: Node, found: _Found) -> bool:
    """Say whether an expression only hides a text. `${{ '${{' }}` is how one writes the marks themselves."""
    if found.contexts or not _ABOUT_THE_RUN.isdisjoint(found.functions) or "fromjson" in found.functions:
        return False
    if root.kind == "literal":
        return isinstance(root.value, str) and "{{" not in root.value and "}}" not in root.value
    return True


#: Names of who acts and of what is built: each is one of a list, never a part of a text.
_ONE_OF = (
    "github.actor",
    "github.triggering_actor",
    "github.ref",
    "github.ref_name",
    "github.head_ref",
    "github.base_ref",
    "github.repository",
    "github.repository_owner",
    "env.",
    "inputs.",
    "matrix.",
)
_ALWAYS_TEXT = ("env.", "vars.", "secrets.")


def _asks_for_a_part(node: Node) -> bool:
    if node.name != "contains" or len(node.below) != 2:
        return False
    whole, part = node.below
    is_text = (whole.kind == "literal" and isinstance(whole.value, str)) or (
        whole.kind == "context" and whole.name.startswith(_ALWAYS_TEXT)
    )
    names = part.name.startswith(_ONE_OF) or part.name.endswith((".login", ".ref", ".full_name"))
    return is_text and part.kind == "context" and names
