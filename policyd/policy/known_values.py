"""Which values of a rule are text or whole numbers for sure, so that `%s` and `%d` print them alike on both engines.

OPA writes `%!s(int64=2)` where `%s` is given a number, regorus writes `2`. What the published input models promise is
enough to know most arguments: a field of a fact in a list that the rule walks. Whatever is not known here is printed
with `%v`, which both engines read alike.

A name counts for a whole rule: it has to be bound to one kind of value wherever it is bound, else nothing is known.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from policyd.models.input import PipelineInput, ReleaseInput, StageInput
from policyd.policy.syntax_tree import Node, kind_of, list_of


class _Collected:
    """Something with members, of whatever kind."""


class _CollectedSet(_Collected):
    """A set."""


class Signed(int):
    """A whole number that may be below zero."""


_TEXT = frozenset({"concat", "sprintf", "replace", "substring", "type_name", "format_int", "base64.encode"}) | {
    *("trim", "trim_left", "trim_right", "trim_prefix", "trim_suffix")
}
_CALLS: Mapping[str, Any] = dict.fromkeys(_TEXT, str) | {
    "count": int,
    "indexof": Signed,
    **dict.fromkeys(("union", "intersection"), _CollectedSet),
    "split": list[str],
    "regex.find_n": list[str],
    "regex.find_all_string_submatch_n": list[list[str]],
}
_ROUNDS = 3  # `x` from a list, `y` from a list in `x`, `z` from one in `y`


class KnownValues:
    """What is known of the names in one rule. `rules` are the names of rules and imports, which hold something else."""

    def __init__(self, root: object, rules: frozenset[str], source: bytes) -> None:
        """Take a rule of a parsed module (`get_ast_as_json`) and the module's text."""
        self._known: dict[str, Any] = {}
        sites = list(_bindings(root, source))
        for _ in range(_ROUNDS):
            found: dict[str, list[Any]] = {}
            for name, value in sites:
                found.setdefault(name, []).append(self._bound(value))
            self._known = {
                name: kinds[0]
                for name, kinds in found.items()
                if name not in rules and kinds[0] is not None and all(kind == kinds[0] for kind in kinds)
            }

    def is_text(self, node: object) -> bool:
        """Say whether the value of an expression is text wherever it is defined."""
        return _is_text(self._kind_of(node))

    def is_whole(self, node: object) -> bool:
        """Say whether the value of an expression is a whole number wherever it is defined."""
        return _plain(self._kind_of(node)) in (int, Signed)

    def is_natural(self, node: object) -> bool:
        """Say whether it is a whole number and not below zero. The integers of the input are sizes and counts."""
        return _plain(self._kind_of(node)) is int

    def is_field(self, node: object) -> bool:
        """Say whether a path of names leads to a field that the published input models promise."""
        return self._kind_of(node) is not None

    def is_collection(self, node: object) -> bool:
        """Say whether it has members, so that counting it counts no characters."""
        kind = self._kind_of(node)
        return kind in (_Collected, _CollectedSet) or _member(kind) is not None

    def is_set(self, node: object) -> bool:
        """Say whether it is known to be a set."""
        return self._kind_of(node) is _CollectedSet

    def is_named_like_a_list(self, node: object) -> bool:
        """Say whether it is a field whose name stands for a list in all there is in the input but documents."""
        name, inner = kind_of(node)
        field = inner.get("field") if name == "RefDot" else None
        return isinstance(field, list) and str(field[1]) in _list_fields()

    def _bound(self, value: tuple[str, object] | None) -> Any:
        if value is None:
            return None
        how, node = value
        kind = self._kind_of(node)
        match how:
            case "key":
                return int if _member(kind) is not None else None
            case "member":
                return _member(kind)
        return kind

    def _kind_of(self, node: object) -> Any:
        """Return the annotation that describes the value, None where nothing is known."""
        name, inner = kind_of(node)
        match name:
            case "String" | "RawString":
                return str
            case "Var":
                return _INPUT if inner.get("value") == "input" else self._known.get(str(inner.get("value")))
            case "RefDot":
                field = inner.get("field")
                return _field(self._kind_of(inner.get("refr")), field[1]) if isinstance(field, list) else None
            case "RefBrack":
                index = kind_of(inner.get("index"))
                kind = self._kind_of(inner.get("refr"))
                return _field(kind, index[1].get("value")) if index[0] == "String" else _member(kind)
            case "Call":
                return _CALLS.get(_dotted(inner.get("fcn")))
            case "ArithExpr" if inner.get("op") in ("Add", "Sub", "Mul", "Mod"):
                return Signed if all(self.is_whole(inner.get(side)) for side in ("lhs", "rhs")) else None
            case "Set" | "SetCompr":
                return _CollectedSet
            case "BinExpr":
                return _CollectedSet  # the union or intersection of two
            case "Array" | "ArrayCompr" | "Object" | "ObjectCompr":
                return _Collected
            case "Number" if str(inner.get("value")).startswith("-"):
                return Signed if isinstance(inner.get("value"), int) else None
            case "Number":
                return int if isinstance(inner.get("value"), int) else None
        return None


def is_typed_field(name: object) -> bool:
    """Say whether a field of the input holds no number but whole ones, in every gate that has it."""
    kinds = [kind for model in (PipelineInput, StageInput, ReleaseInput) if (kind := _fields(model).get(str(name)))]
    return bool(kinds) and not any(_may_hold_fractions(kind, ()) for kind in kinds)


def _may_hold_fractions(kind: Any, above: tuple[Any, ...]) -> bool:
    kind = _plain(kind)
    if kind in above:
        return False
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return any(_may_hold_fractions(below, (*above, kind)) for below in _fields(kind).values())
    if get_origin(kind) is Literal:
        return False
    if get_origin(kind) is not None:
        return any(_may_hold_fractions(below, above) for below in get_args(kind) if below is not Ellipsis)
    return not (kind is None or (isinstance(kind, type) and issubclass(kind, str | int | Enum | types.NoneType)))


@functools.cache
def _list_fields() -> frozenset[str]:
    kinds: dict[str, list[Any]] = {}
    seen: set[type[BaseModel]] = set()
    waiting: list[Any] = [PipelineInput, StageInput, ReleaseInput]
    while waiting:
        kind = _plain(waiting.pop())
        waiting.extend(below for below in get_args(kind) if below is not Ellipsis)
        if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in seen:
            seen.add(kind)
            for name, below in _fields(kind).items():
                kinds.setdefault(name, []).append(below)
                waiting.append(below)
    return frozenset(name for name, found in kinds.items() if all(_member(kind) is not None for kind in found))


class _AnyGate:
    """The input, of whichever gate."""


_INPUT = _AnyGate


def _bindings(root: object, source: bytes) -> Iterator[tuple[str, tuple[str, object] | None]]:
    """Yield every place that may give a name a value: how and from what, or None where that is not followed."""
    for kind, node in _walk(root):
        match kind:
            case "SomeIn":
                yield from _pattern(node.get("key"), ("key", node.get("collection")))
                yield from _pattern(node.get("value"), ("member", node.get("collection")))
            case "AssignExpr":
                followed = ("value", node.get("rhs")) if node.get("op") == "ColEq" else None
                yield from _pattern(node.get("lhs"), followed)
                if followed is None:
                    yield from _pattern(node.get("rhs"), None)
            case "Func":
                for name in _names(node.get("args")):
                    yield name, None
            case "SomeVars" | "Every":
                for span in (*list_of(node.get("vars")), node.get("key"), node.get("value")):
                    if isinstance(span, dict) and isinstance(start := span.get("start"), int):
                        yield source[start : span["end"]].decode(), None
            case "RefBrack":
                # `things[x]` gives `x` each key of an object and each member of a set.
                for name in _names(node.get("index")):
                    yield name, None


def _pattern(node: object, value: tuple[str, object] | None) -> Iterator[tuple[str, tuple[str, object] | None]]:
    if kind_of(node)[0] == "Var":
        yield str(kind_of(node)[1].get("value")), value
        return
    for name in _names(node):
        yield name, None


def _names(node: object) -> list[str]:
    return [str(inner.get("value")) for kind, inner in _walk([node]) if kind == "Var"]


def _walk(root: object) -> Iterator[tuple[str, Node]]:
    stack = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack.extend(node)
        elif isinstance(node, dict):
            for kind, inner in node.items():
                if isinstance(inner, dict) and kind != "span":
                    yield kind, inner
                if kind != "span" and isinstance(inner, dict | list):
                    stack.append(inner)


def _dotted(node: object) -> str:
    name, inner = kind_of(node)
    if name == "Var":
        return str(inner.get("value"))
    field = inner.get("field")
    return f"{_dotted(inner.get('refr'))}.{field[1]}" if name == "RefDot" and isinstance(field, list) else ""


def _field(kind: Any, name: object) -> Any:
    """Return what the field of a model or of each gate's input holds; of the input, only what all gates agree on."""
    if kind is _INPUT:
        kinds = [found for model in (PipelineInput, StageInput, ReleaseInput) if (found := _field(model, name))]
        return kinds[0] if kinds and all(_alike(found, kinds[0]) for found in kinds) else None
    kind = _plain(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel) and isinstance(name, str):
        return _fields(kind).get(name)
    return None


@functools.cache
def _fields(model: type[BaseModel]) -> Mapping[str, Any]:
    return {name: field.annotation for name, field in model.model_fields.items()}


def _alike(one: Any, other: Any) -> bool:
    return bool(one == other) or (_is_text(one) and _is_text(other))


def _member(kind: Any) -> Any:
    kind = _plain(kind)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is list or (origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis):
        return arguments[0]
    return None


def _is_text(kind: Any) -> bool:
    kind = _plain(kind)
    if get_origin(kind) is Literal:
        return all(isinstance(value, str) for value in get_args(kind))
    if get_origin(kind) in (Union, types.UnionType):
        return False  # the other half may be null, a flag or a list
    return kind is str or (isinstance(kind, type) and issubclass(kind, str) and issubclass(kind, Enum))


def _plain(kind: Any) -> Any:
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return kind
