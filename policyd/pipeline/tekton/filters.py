"""Filters of triggers, in the Common Expression Language (CEL): which events they let in, and what they ask for first.

Only what a filter says of the event, its sender and its change is understood; the rest may be true or false. A filter
that can't be read lets everything in and asks for nothing.

Sources: github.com/google/cel-spec "Language Definition"; tekton.dev "CEL expression extensions"; pipelinesascode.com
"Advanced event matching using CEL".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

from policyd.models.facts import Guard
from policyd.pipeline.tekton.trust import ANY_EVENT

MAX_TOKENS = 1_000  # of a filter; real ones have some fifty
MAX_DEPTH = 40

#: A guard; or "labeled", which goes with a label that is put on by the very event.
Asked = Literal[Guard, "labeled"]
Guards = frozenset[Asked]
NONE: Guards = frozenset()
#: What is asked for under each event that leads to a run.
Reach = Mapping[str, Guards]


class Leaf(NamedTuple):
    """A value of a filter: a field or call as written, a text, or a list of texts."""

    kind: Literal["name", "text", "list"]
    text: str
    items: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """`and`, `or`, `not`, a comparison, or a value that has to be true."""

    kind: Literal["and", "or", "not", "compare", "value"]
    below: tuple[Node, ...] = ()
    operator: str = ""
    sides: tuple[Leaf, ...] = ()


def narrow(reach: Reach, expression: str) -> Reach:
    """Return what is asked for where a filter has to hold as well; events that it keeps out are gone."""
    parsed = parse_filter(expression)
    if parsed is None:
        return reach
    narrowed = {}
    for event, guards in reach.items():
        asked = _required(parsed, event, holds=True)
        if asked is not None:
            narrowed[event] = guards | asked
    return narrowed


def events_named(expression: str) -> tuple[str, ...]:
    """Return the events that a filter speaks of, in order."""
    parsed = parse_filter(expression)
    found: dict[str, None] = {}
    for node in _walk(parsed):
        for name in _events_of(node) or ():
            found.setdefault(name)
    return tuple(found)


def checks_secret(expression: str) -> bool:
    """Say whether a filter compares something with a secret, so that whoever calls has to know it."""
    return "compareSecret" in expression


def is_spoofable(expression: str) -> bool:
    """Say whether a filter lets something in because of a bot's name, under which others can run."""
    for node in _walk(parse_filter(expression)):
        if node.kind == "compare" and node.operator in ("==", "in"):
            names = {side.text for side in node.sides if side.kind == "name"}
            texts = [text for side in node.sides for text in (side.text, *side.items) if side.kind != "name"]
            if names & _SENDERS and any(text.endswith("[bot]") for text in texts):
                return True
    return False


@lru_cache(maxsize=512)
def parse_filter(expression: str) -> Node | None:
    """Return a filter as it is weighed; `None` where it can't be read."""
    tokens = [found[0] for found in _TOKEN.finditer(expression[: MAX_TOKENS * 20]) if found[0].strip()]
    if not tokens or len(tokens) > MAX_TOKENS:
        return None
    reader = _Reader(tokens)
    try:
        parsed = reader.read_or(0)
    except _UnreadableError:
        return None
    return parsed if reader.position == len(tokens) else None


_TOKEN = re.compile(
    r"""[rR]?"(?:[^"\\\n]|\\.)*"|[rR]?'(?:[^'\\\n]|\\.)*'|&&|\|\||[=!<>]=|[A-Za-z_][A-Za-z0-9_]*|\d+(?:\.\d+)?|\s+|."""
)


class _UnreadableError(Exception):
    pass


class _Reader:
    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = tokens
        self.position = 0

    def peek(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        if not token:
            raise _UnreadableError
        self.position += 1
        return token

    def read_or(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise _UnreadableError
        found = [self.read_and(depth)]
        while self.peek() == "||":
            self.take()
            found.append(self.read_and(depth))
        if self.peek() == "?":  # what follows depends on more than is weighed here
            raise _UnreadableError
        return found[0] if len(found) == 1 else Node("or", tuple(found))

    def read_and(self, depth: int) -> Node:
        found = [self.read_not(depth)]
        while self.peek() == "&&":
            self.take()
            found.append(self.read_not(depth))
        return found[0] if len(found) == 1 else Node("and", tuple(found))

    def read_not(self, depth: int) -> Node:
        if self.peek() == "!":
            self.take()
            if depth > MAX_DEPTH:
                raise _UnreadableError
            return Node("not", (self.read_not(depth + 1),))
        return self.read_comparison(depth)

    def read_comparison(self, depth: int) -> Node:
        if self.peek() == "(":
            begin = self.position
            self.take()
            inside = self.read_or(depth + 1)
            if self.take() != ")":
                raise _UnreadableError
            if self.peek() not in (".", "[", "==", "!=", "in"):
                return inside
            self.position = begin
        left = self.read_leaf(depth)
        if self.peek() in ("==", "!=", "in", "<", ">", "<=", ">="):
            operator = self.take()
            return Node("compare", operator=operator, sides=(left, self.read_leaf(depth)))
        return Node("value", sides=(left,))

    def read_leaf(self, depth: int) -> Leaf:
        word = self.peek()
        if word == "[":
            return self._list(depth)
        if word[-1:] in "\"'" and len(word) > 1:
            self.take()
            if self.peek() not in (".", "["):
                return Leaf("text", _unquoted(word))
        elif word == "(":
            word = self._bracketed()
        elif word == "-":
            self.take()
            word += self.take()
        elif re.match(r"[A-Za-z_0-9]", word):
            self.take()
        else:
            raise _UnreadableError
        parts = [word]
        while self.peek() in (".", "[", "(") or (self.peek() in ("+", "-", "*", "/", "%") and len(parts) < MAX_TOKENS):
            parts.append(self._bracketed() if self.peek() in ("[", "(") else self.take())
            if parts[-1] in (".", "+", "-", "*", "/", "%"):
                parts.append(self._bracketed() if self.peek() in ("(", "[") else self.take())
        return Leaf("name", "".join(parts))

    def _bracketed(self) -> str:
        """Return what stands in brackets, as written: calls and indices are known by their text."""
        parts, open_brackets = [], 0
        while True:
            word = self.take()
            parts.append(word)
            open_brackets += (word in "([{") - (word in ")]}")
            if open_brackets == 0:
                return "".join(f" {part} " if part in ("&&", "||", "in") else part for part in parts)

    def _list(self, depth: int) -> Leaf:
        self.take()
        items: list[str] = []
        while self.peek() != "]":
            items.append(self.read_leaf(depth + 1).text)
            if self.peek() == ",":
                self.take()
            elif self.peek() != "]":
                raise _UnreadableError
        self.take()
        return Leaf("list", "", tuple(items))


def _unquoted(token: str) -> str:
    return token[token.index(token[-1]) + 1 : -1]


def _walk(node: Node | None) -> list[Node]:
    pending, found = [node] if node is not None else [], []
    while pending:
        one = pending.pop()
        found.append(one)
        pending.extend(reversed(one.below))
    return found


# Weighing.

_INSIDERS = frozenset(("OWNER", "MEMBER", "COLLABORATOR"))
_EVENT_NAMES = re.compile(r"event|event_type|body\.(?:object_kind|event_type|event_name|eventKey)")
_EVENT_HEADER = re.compile(
    r"headers?(?:\.canonical\(|\[)[\"']x-(?:\w+-)?event(?:-key)?[\"'][\])](?:\[0\])?", re.IGNORECASE
)
_HEADER_MATCH = re.compile(r"headers?\.match\([\"']x-(?:\w+-)?event(?:-key)?[\"'],[\"']([^\"']+)[\"']\)", re.IGNORECASE)
_ASSOCIATION = re.compile(r"body\.(?:pull_request|comment|issue|review)\.author_association")
_SENDERS = frozenset(("body.sender.login", "sender", "body.pull_request.user.login", "body.comment.user.login"))
_ACTOR = re.compile(
    r"body\.(?:sender|user|pull_request\.user|comment\.user|issue\.user|actor|pullrequest\.author|object_attributes\.author"
    r")\.(?:login|username|id|nickname|account_id|email)|sender|body\.(?:user_username|user_id)"
)
_LABEL = re.compile(r"label", re.IGNORECASE)
_EVENT_LABEL = re.compile(r"body\.label\.\w+")  # the one that the event puts on
_ASKS_LABEL = re.compile(r"(?:body(?:\.\w+)*\.labels?\b|pull_request_labels)[^\n]*\.?(?:exists|exists_one|contains)\(")
_HEAD = re.compile(
    r"body\.pull_request\.head\.(?:repo\.(?:full_name|id|owner\.login|clone_url|html_url)|user\.login)"
    r"|source_url|body\.object_attributes\.(?:source_project_id|source\.path_with_namespace)"
    r"|body\.pullrequest\.source\.repository\.(?:full_name|uuid)"
)
_FORK = "body.pull_request.head.repo.fork"
_MERGED = frozenset(("body.pull_request.merged", "body.pullrequest.merged"))
_MERGED_STATES = re.compile(r"body\.object_attributes\.(?:action|state)|body\.pullrequest\.state")
_COMMENT = re.compile(
    r"body\.(?:comment|review)\.(?:body|content\.raw|text)|body\.object_attributes\.note|trigger_comment"
)


def _required(node: Node, event: str, *, holds: bool) -> Guards | None:
    """Return what is asked for so that `node` is true (or false) under `event`; `None` where it can't be."""
    if node.kind == "not":
        return _required(node.below[0], event, holds=not holds)
    if node.kind in ("and", "or"):
        sides = [_required(one, event, holds=holds) for one in node.below]
        if (node.kind == "and") is holds:
            known = [one for one in sides if one is not None]
            return NONE.union(*known) if len(known) == len(sides) else None
        possible = [one for one in sides if one is not None]
        return frozenset.intersection(*possible) if possible else None
    named = _events_of(node)
    if named is not None:
        if event == ANY_EVENT:
            return NONE
        asked = (node.operator != "!=") is holds
        return NONE if (event.lower() in {name.lower() for name in named}) is asked else None
    if node.kind == "compare":
        return _compared(node, holds=holds if node.operator != "!=" else not holds)
    return _truth(node.sides[0], holds=holds)


def _events_of(node: Node) -> tuple[str, ...] | None:
    """Return the events that a comparison asks for, `None` where it asks for something else."""
    if node.kind == "value" and node.sides[0].kind == "name":
        found = _HEADER_MATCH.fullmatch(node.sides[0].text)
        return (found[1],) if found else None
    if node.kind != "compare" or node.operator not in ("==", "!=", "in"):
        return None
    left, right = node.sides
    if left.kind != "name":
        left, right = right, left
    if left.kind != "name" or right.kind == "name":
        return None
    if _EVENT_NAMES.fullmatch(left.text) is None and _EVENT_HEADER.fullmatch(left.text) is None:
        return None
    return right.items if right.kind == "list" else (right.text,)


def _compared(node: Node, *, holds: bool) -> Guards:
    """Return what a comparison asks for that holds: somebody known, a label, an own branch."""
    if not holds or node.operator in ("<", ">", "<=", ">="):
        return _FORKS if _says_fork(node) and not holds else NONE
    left, right = node.sides
    if left.kind != "name":
        left, right = right, left
    name = left.text
    values = right.items if right.kind == "list" else (right.text,)
    if name == _FORK:
        return _FORKS if right.text == "false" else NONE
    if _HEAD.fullmatch(name) or (right.kind == "name" and _HEAD.fullmatch(right.text)):
        return _FORKS
    if right.kind != "name" and values:
        if _ASSOCIATION.fullmatch(name):
            return frozenset(("association",)) if _INSIDERS.issuperset(values) else NONE
        if _ACTOR.fullmatch(name):
            return frozenset(("actor",))
        if _MERGED_STATES.fullmatch(name):
            return frozenset(("merged",)) if {"merge", "merged", "MERGED"}.issuperset(values) else NONE
        if _COMMENT.match(name):
            return frozenset(("comment",))
        if _EVENT_LABEL.fullmatch(name) or (name == "body.action" and values == ("labeled",)):
            return frozenset(("label", "labeled"))
        if _LABEL.search(name):
            return frozenset(("label",))
    if name in _MERGED and right.text == "true":
        return frozenset(("merged",))
    return NONE


_FORKS: Guards = frozenset(("same-repository",))


def _says_fork(node: Node) -> bool:
    texts = {side.text for side in node.sides}
    return _FORK in texts and "true" in texts


def _truth(leaf: Leaf, *, holds: bool) -> Guards | None:
    name = leaf.text
    if name in ("true", "false"):
        return NONE if (name == "true") is holds else None
    if name == _FORK:
        return NONE if holds else _FORKS
    if not holds:
        return NONE
    if name in _MERGED:
        return frozenset(("merged",))
    if _ASKS_LABEL.match(name):
        return frozenset(("label",))
    return frozenset(("comment",)) if _COMMENT.match(name) else NONE


def find_values(expression: str, name: str) -> list[str]:
    """Return the texts that a filter compares the field `name` with."""
    found: list[str] = []
    for node in _walk(parse_filter(expression)):
        if node.kind == "compare" and node.operator in ("==", "in"):
            left, right = node.sides
            if left.text == name and left.kind == "name" and right.kind != "name":
                found += right.items or (right.text,)
    return found
