"""Conditions of GitLab (`rules: if`, `only: variables`): parsed, and weighed for what is known of a pipeline.

Weighing has three answers, since a file says little of what variables hold: true, false, or `None` for "depends".

Sources: docs.gitlab.com "Specify when jobs run with rules" (CI/CD variable expressions), "Deprecated keywords".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, NamedTuple

MAX_TOKENS = 200  # GitLab takes 100
MAX_NESTING = 50

Operator = Literal["==", "!=", "=~", "!~", "&&", "||", "!"]


@dataclass(frozen=True, slots=True)
class Symbol:
    """A text that is not empty and differs from other symbols, whatever it is.

    It is none of the texts in `never`; where these are empty, none that a file writes out.
    """

    name: str
    never: frozenset[str] | None = None

    def equals(self, text: str) -> bool | None:
        """Say whether it is `text`; `None` where it may be."""
        if text == "" or (self.never is not None and (not self.never or text in self.never)):
            return False
        return None


class Kind(Enum):
    """What else may be known of a value."""

    ANYTHING = "may also be missing"
    PRESENT = "some text that is not empty"


ANYTHING: Final = Kind.ANYTHING
PRESENT: Final = Kind.PRESENT
Value = str | Symbol | Kind | None


class Leaf(NamedTuple):
    """A variable, text, pattern, `null`, or `other` for what GitLab replaces first (`$[[ ]]`)."""

    kind: Literal["variable", "text", "pattern", "null", "other"]
    text: str


class Node(NamedTuple):
    """An operator with its operands; `!` has one."""

    operator: Operator
    operands: tuple[Condition, ...]


Condition = Leaf | Node

_TOKEN = re.compile(
    r"""\s*(?:(?P<mark>\$\[\[[^\]]{0,500}\]\])|\$\{?(?P<variable>[A-Za-z_0-9]+)\}?|"(?P<double>[^"]*)"|'(?P<single>[^']*)'"""
    r"""|(?P<pattern>/(?:[^/\\]|\\.)+/[ismU]*)|(?P<operator>==|!=|=~|!~|&&|\|\||!|\(|\))|(?P<word>[A-Za-z]+))"""
)


def parse_condition(text: str) -> Condition | None:
    """Return the condition in `text`, `None` where it can't be read."""
    tokens: list[tuple[str, str]] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None or match.end() == position or len(tokens) >= MAX_TOKENS:
            return None
        kind = match.lastgroup or ""
        tokens.append((kind, match[kind]))
        position = match.end()
    parser = _Parser(tokens)
    found = parser.either(0)
    return found if parser.position == len(tokens) else None


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens = tokens
        self.position = 0

    def _operator(self) -> str:
        if self.position < len(self.tokens) and self.tokens[self.position][0] == "operator":
            return self.tokens[self.position][1]
        return ""

    def either(self, depth: int) -> Condition | None:
        return self._chain("||", self._both, depth)

    def _both(self, depth: int) -> Condition | None:
        return self._chain("&&", self._comparison, depth)

    def _chain(
        self, operator: Literal["||", "&&"], below: Callable[[int], Condition | None], depth: int
    ) -> Condition | None:
        first = below(depth)
        if first is None:
            return None
        operands = [first]
        while self._operator() == operator:
            self.position += 1
            following = below(depth)
            if following is None:
                return None
            operands.append(following)
        return Node(operator, tuple(operands)) if len(operands) > 1 else first

    def _comparison(self, depth: int) -> Condition | None:
        left = self._single(depth)
        operator = self._operator()
        if left is None or operator not in ("==", "!=", "=~", "!~"):
            return left
        self.position += 1
        right = self._single(depth)
        return None if right is None else Node(operator, (left, right))  # type: ignore[arg-type]  # one of the four

    def _single(self, depth: int) -> Condition | None:
        if self.position >= len(self.tokens) or depth > MAX_NESTING:
            return None
        kind, text = self.tokens[self.position]
        self.position += 1
        if kind == "operator":
            if text == "!":
                inner = self._single(depth + 1)
                return None if inner is None else Node("!", (inner,))
            if text != "(":
                return None
            inner = self.either(depth + 1)
            if inner is None or self._operator() != ")":
                return None
            self.position += 1
            return inner
        if kind == "variable":
            return Leaf("variable", text)
        if kind in ("double", "single"):
            return Leaf("text", text)
        if kind == "pattern":
            return Leaf("pattern", text)
        if kind == "mark":
            return Leaf("other", text)
        if text == "null":
            return Leaf("null", "")
        return Leaf("text", text) if text in ("true", "false") else None


def leaves(condition: Condition) -> Iterator[Leaf]:
    """Yield the leaves of a condition from left to right."""
    if isinstance(condition, Leaf):
        yield condition
        return
    for operand in condition.operands:
        yield from leaves(operand)


def comparisons(condition: Condition) -> Iterator[tuple[str, str, Leaf]]:
    """Yield operator, variable and the other side of each comparison of a variable."""
    if isinstance(condition, Leaf):
        return
    if condition.operator in ("==", "!=", "=~", "!~"):
        left, right = condition.operands
        if isinstance(left, Leaf) and isinstance(right, Leaf):
            if left.kind == "variable":
                yield condition.operator, left.text, right
            elif right.kind == "variable":
                yield condition.operator, right.text, left
        return
    for operand in condition.operands:
        yield from comparisons(operand)


def weigh(condition: Condition, value_of: Callable[[str], Value]) -> bool | None:
    """Return whether a condition holds where `value_of` says what variables hold; `None` where it depends."""
    if isinstance(condition, Leaf):
        return _is_set(_value(condition, value_of))
    operator = condition.operator
    if operator == "!":
        inner = weigh(condition.operands[0], value_of)
        return None if inner is None else not inner
    if operator in ("&&", "||"):
        decides = operator == "||"
        answers = [weigh(operand, value_of) for operand in condition.operands]
        if decides in answers:
            return decides
        if decides and _covers_everything(condition):
            return True
        return None if None in answers else not decides
    left, right = condition.operands
    if not isinstance(left, Leaf) or not isinstance(right, Leaf):
        return None
    if operator in ("=~", "!~"):
        answer = _matches(_value(left, value_of), right)
    elif left == right and left.kind == "variable":
        answer = True
    else:
        answer = _equal(_value(left, value_of), _value(right, value_of))
    return answer if answer is None or operator in ("==", "=~") else not answer


def is_always_true(condition: Condition) -> bool:
    """Say whether a condition that compares something holds in every pipeline.

    A variable alone that is always set (`if: $CI_PROJECT_PATH`) is how people write "otherwise".
    """
    if isinstance(condition, Leaf) and condition.kind in ("variable", "other"):
        return False
    return weigh(condition, lambda name: PRESENT if name in _ALWAYS_PRESENT else ANYTHING) is True


#: Set in every pipeline.
_ALWAYS_PRESENT = frozenset(
    (
        "CI",
        "CI_COMMIT_REF_NAME",
        "CI_COMMIT_SHA",
        "CI_DEFAULT_BRANCH",
        "CI_PIPELINE_SOURCE",
        "CI_PROJECT_ID",
        "CI_PROJECT_PATH",
        "GITLAB_CI",
        "GITLAB_USER_LOGIN",
    )
)


def _covers_everything(condition: Node) -> bool:
    """Say whether an "or" holds whatever its variable is: `$X != "a" || $X != "b"`, `$X == "a" || $X != "a"`."""
    seen: dict[str, tuple[set[str], set[str]]] = {}
    for operand in condition.operands:
        if isinstance(operand, Leaf) or operand.operator not in ("==", "!="):
            continue
        for operator, name, other in comparisons(operand):
            if other.kind == "text":
                seen.setdefault(name, (set(), set()))[operator == "!="].add(other.text)
    return any(len(differs) > 1 or not differs.isdisjoint(equals) for equals, differs in seen.values())


def _value(leaf: Leaf, value_of: Callable[[str], Value]) -> Value:
    if leaf.kind == "variable":
        return value_of(leaf.text)
    if leaf.kind == "null":
        return None
    return ANYTHING if leaf.kind == "other" else leaf.text


def _is_set(value: Value) -> bool | None:
    if value is ANYTHING:
        return None
    return value is PRESENT or bool(value)


def _equal(left: Value, right: Value) -> bool | None:
    if left is ANYTHING or right is ANYTHING:
        return None
    if left is None or right is None:
        return left is right
    if isinstance(left, Kind) or isinstance(right, Kind):
        return False if left == "" or right == "" else None
    if isinstance(left, Symbol) and isinstance(right, str):
        return left.equals(right)
    if isinstance(right, Symbol) and isinstance(left, str):
        return right.equals(left)
    return left == right


def _matches(value: Value, pattern: Leaf) -> bool | None:
    if value is ANYTHING or pattern.kind != "pattern":
        return False if value is None and pattern.kind in ("pattern", "text") else None
    if value is None:
        return False
    simple = read_pattern(pattern.text)
    if simple is None:
        return None
    if any(word == "" and not (simple.from_start and simple.to_end) for word in simple.words):
        return True  # matches whatever is there
    if isinstance(value, Symbol):
        whole = (simple.from_start and simple.to_end) or value.never == frozenset()
        return False if whole and all(value.equals(word) is False for word in simple.words) else None
    if isinstance(value, Kind):
        return None
    text, words = (value.lower(), [word.lower() for word in simple.words]) if simple.folds else (value, simple.words)
    if simple.from_start and simple.to_end:
        return text in words
    if simple.from_start:
        return text.startswith(tuple(words))
    if simple.to_end:
        return text.endswith(tuple(words))
    return any(word in text for word in words)


class SimplePattern(NamedTuple):
    """A pattern that is a choice of plain words, and where in the text they have to stand."""

    words: list[str]
    from_start: bool
    to_end: bool
    folds: bool


_WORDS = re.compile(r"(?:[A-Za-z0-9_ @:#,=%&~<>\"'!;-]|\\[.\-/_+*?()\[\]{}|^$ ])*")
_ESCAPED = re.compile(r"\\(.)")


def read_pattern(text: str) -> SimplePattern | None:
    """Return a pattern `/.../flags` as plain words, `None` where it is more than that.

    Nothing is ever matched with a pattern from a file: that could take for ever.
    """
    body, _, flags = text[1:].rpartition("/")
    if body in ("", ".*", "^.*", ".*$", "^.*$", "."):
        return SimplePattern([""], from_start=False, to_end=False, folds=False)
    from_start, to_end = body.startswith("^"), body.endswith("$") and not body.endswith("\\$")
    body = body.removeprefix("^")
    body = body[:-1] if to_end else body
    if body.startswith("(") and body.endswith(")"):
        body = body[1:-1].removeprefix("?:")
    elif "|" in body and (from_start or to_end):
        return None  # the anchors hold for the outer words only
    words = body.split("|")
    if not all(_WORDS.fullmatch(word) for word in words):
        return None
    return SimplePattern([_ESCAPED.sub(r"\1", word) for word in words], from_start, to_end, "i" in flags)


def is_anchored(text: str) -> bool:
    """Say whether a pattern fixes where the text begins or ends, in each of its choices."""
    body = text[1:].rpartition("/")[0]
    depth = 0
    start = 0
    choices: list[str] = []
    for index, character in enumerate(body):
        if body[index - 1 : index] == "\\":
            continue
        if character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
        elif character == "|" and depth == 0:
            choices.append(body[start:index])
            start = index + 1
    choices.append(body[start:])
    return all(
        choice.lstrip("(?:").startswith("^") or choice.rstrip(")").endswith("$") or choice.startswith("\\A")
        for choice in choices
    )
