"""GitHub Actions expressions: what `${{ ... }}` reads and whether an outsider's text can come out of it.

An expression is parsed, because `contains(github.event.issue.body, 'x')` yields true or false and is harmless in a
script, while `format('{0}', github.event.issue.body)` yields the body. Contexts are written in one way: dots,
lower case for what GitHub names, `*` for any index.

Sources: docs.github.com "Evaluate expressions in workflows and actions", "Contexts reference", "Script injections"
and "Secure use reference"; actions/languageservices, packages/expressions (grammar, limits).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

MAX_LENGTH = 21_000  # GitHub's own limit
MAX_DEPTH = 50  # GitHub's own limit

#: What an outsider writes freely. `*` stands for any one step.
UNTRUSTED_CONTEXTS = frozenset(
    tuple(path.split("."))
    for path in (
        "github.head_ref",
        "github.event.issue.title",
        "github.event.issue.body",
        "github.event.discussion.title",
        "github.event.discussion.body",
        "github.event.comment.body",
        "github.event.review.body",
        "github.event.review_comment.body",
        "github.event.pages.*.page_name",
        "github.event.pages.*.title",
        "github.event.pull_request.title",
        "github.event.pull_request.body",
        "github.event.pull_request.head.ref",
        "github.event.pull_request.head.label",
        "github.event.pull_request.head.repo.default_branch",
        "github.event.pull_request.head.repo.description",
        "github.event.pull_request.head.repo.homepage",
        "github.event.changes.body.from",
        "github.event.changes.title.from",
        "github.event.changes.head.ref.from",
        "github.event.commits.*.message",
        "github.event.commits.*.author.email",
        "github.event.commits.*.author.name",
        "github.event.commits.*.committer.email",
        "github.event.commits.*.committer.name",
        "github.event.head_commit.message",
        "github.event.head_commit.author.email",
        "github.event.head_commit.author.name",
        "github.event.head_commit.committer.email",
        "github.event.head_commit.committer.name",
        "github.event.merge_group.head_commit.message",
        "github.event.merge_group.head_commit.author.email",
        "github.event.merge_group.head_commit.author.name",
        "github.event.workflow_run.head_branch",
        "github.event.workflow_run.display_title",
        "github.event.workflow_run.head_repository.description",
        "github.event.workflow_run.head_commit.message",
        "github.event.workflow_run.head_commit.author.email",
        "github.event.workflow_run.head_commit.author.name",
        "github.event.workflow_run.pull_requests.*.head.ref",
        "github.event.check_suite.head_branch",
        "github.event.check_run.check_suite.head_branch",
        "github.event.client_payload.pull_request.title",
        "github.event.client_payload.pull_request.body",
        "github.event.client_payload.pull_request.head.ref",
    )
)
#: Names of who started a run: whoever pushes last to a branch or re-runs it, not who wrote the code.
SPOOFABLE_ACTORS = frozenset(
    ("github.actor", "github.triggering_actor", "github.event.sender.login", "github.event.pull_request.sender.login")
)
SPOOFABLE_ACTOR_IDS = frozenset(("github.actor_id", "github.event.sender.id"))

# Functions that yield true, false or a digest whatever text they are given.
_HARMLESS = frozenset(("contains", "startswith", "endswith", "success", "failure", "always", "cancelled", "hashfiles"))
_COMPARISONS = frozenset(("==", "!=", "<", "<=", ">", ">="))


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
    return ParsedExpression(root, tuple(found.contexts), tuple(found.flowing), tuple(found.whole))


def is_untrusted(context: str) -> bool:
    """Say whether `context` names a text that an outsider writes."""
    return _matches(tuple(context.split(".")), exactly=True)


def holds_untrusted(context: str) -> bool:
    """Say whether `context` is, or is an object that holds, a text that an outsider writes."""
    return _matches(tuple(context.split(".")), exactly=False)


def is_always_true(root: Node) -> bool:
    """Say whether the value counts as true whatever the contexts are; a bare `true` or `always()` says so itself."""
    return root.kind != "literal" and _constant(root) is True


def checks_spoofable_actor(root: Node) -> bool:
    """Say whether the expression lets something pass because of a bot's name that others can run under."""
    pending, budget = [root], 10_000
    while pending and budget:
        budget -= 1
        node = pending.pop()
        if node.kind == "operator" and node.name == "==":
            names = {side.name for side in node.below if side.kind == "context"}
            literals = [str(side.value) for side in node.below if side.kind == "literal"]
            if names & SPOOFABLE_ACTORS and any(text.lower().endswith("[bot]") for text in literals):
                return True
            if names & SPOOFABLE_ACTOR_IDS and any(text in ("49699333", "27856297", "41898282") for text in literals):
                return True
        elif node.kind == "call" and node.name in ("contains", "startswith", "endswith") and len(node.below) == 2:
            names = {side.name for side in node.below if side.kind == "context"}
            literals = [str(side.value).lower() for side in node.below if side.kind == "literal"]
            if names & SPOOFABLE_ACTORS and any("bot" in text for text in literals):
                return True
        pending.extend(node.below)
    return False


def _matches(path: tuple[str, ...], *, exactly: bool) -> bool:
    if path in UNTRUSTED_CONTEXTS:
        return True
    if path[0] != "github":
        return False
    return any(
        (len(path) == len(known) or (not exactly and len(path) < len(known)))
        and all(step in (name, "*") or name == "*" for step, name in zip(path, known, strict=False))
        for known in UNTRUSTED_CONTEXTS
    )


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
        """Read `.name` and `[index]` behind a call or brackets; the value stays that of `node`."""
        below = [node]
        while self._peek() in (".", "["):
            _, index = self._step()
            if index is not None:
                below.append(index)
        return node if len(below) == 1 and node.kind != "context" else Node("index", "", None, tuple(below))

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


def _written(steps: Sequence[str]) -> str:
    first = steps[0].lower()
    rest = [step.lower() for step in steps[1:]] if first in ("github", "steps", "needs", "runner") else steps[1:]
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


def _collect(node: Node, found: _Found, *, flows: bool, whole: bool) -> None:
    # Depth is bounded by MAX_DEPTH in the parser.
    if node.kind == "context":
        found.contexts[node.name] = None
        if flows:
            found.flowing[node.name] = None
        if flows and whole:
            found.whole[node.name] = None
        for index in node.below:
            _collect(index, found, flows=False, whole=False)
    elif node.kind == "call":
        passes = flows and node.name not in _HARMLESS
        for argument in node.below:
            _collect(argument, found, flows=passes, whole=True)
    elif node.kind == "operator" and node.name == "&&":
        # `a && b` yields b, or an a that counts as false: nothing that can hold text.
        for side in node.below[:-1]:
            _collect(side, found, flows=False, whole=False)
        _collect(node.below[-1], found, flows=flows, whole=whole)
    elif node.kind == "operator" and node.name == "||":
        for side in node.below:
            _collect(side, found, flows=flows, whole=whole)
    elif node.kind == "index":
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
        if decides in sides:
            return decides
        return None if None in sides else not decides
    if node.kind == "operator" and all(side.kind == "literal" for side in node.below) and node.name == "==":
        return node.below[0].value == node.below[1].value
    return None
