"""One query, as `opa eval` takes it, for an engine that may only be asked expressions.

regorus evaluates the body of a query itself, and not as OPA does: `some x in [1]; x > 0` has no result there. Inside a
comprehension both agree. So a query is parsed, its statements are told apart, and what is evaluated is one list: for
each solution the values of its expressions and the variables it bound. Where OPA would put statements into another
order, or bind a variable in a way that this module does not know, the query is refused.

Source: OPA v1 rego/rego.go, `rewriteQueryToCaptureValue`, `iteration` and `generateResult`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from policyd.errors import PolicyError
from policyd.policy.syntax_tree import find_part, kind_of, list_of

PACKAGE = "policyd_query"
PATH = "query"
MAX_QUERY_BYTES = 64 * 1024

_HEAD = f"package {PACKAGE}\n\nasked if {{\n"
_HEAD_LINES = 3
_TAIL = "\n}\n"
_CAPTURE = "policyd_captured_"
_CLOSURES = frozenset({"ArrayCompr", "SetCompr", "ObjectCompr"})
_PATTERNS = frozenset({"Array", "Object"})
_ROOTS = frozenset({"input", "data", "_"})
_USE_OPA = "or use `--engine opa`"


@dataclass(frozen=True, slots=True)
class Expression:
    """A statement of the query as results name it. `capture` is the variable that holds its value; "" where true."""

    text: str
    row: int
    column: int
    capture: str


@dataclass(frozen=True, slots=True)
class Query:
    """A query read: `code` is the one expression to evaluate, `module` the same as a module, to be checked."""

    code: str
    module: str
    expressions: tuple[Expression, ...]
    variables: tuple[str, ...]


def wrap_query(query: str) -> str:
    """Return `query` as the body of a rule, which is how it is parsed."""
    if _CAPTURE in query or not query.strip():
        raise PolicyError(
            f"the query is empty or has a name with {_CAPTURE!r}", where=PATH, fix="ask like `data.family.rule.deny`"
        )
    return f"{_HEAD}{query}{_TAIL}"


def unwrap_place(where: str) -> str:
    """Return a place in the wrapped query as a place in the query; other places as they are."""
    return re.sub(
        rf"^{PATH}:([0-9]+)", lambda found: f"{PATH}:{max(1, int(found.group(1)) - _HEAD_LINES)}", where, count=1
    )


def read_query(query: str, file_ast: Mapping[str, object]) -> Query:
    """Return the query whose wrapping (`wrap_query`) was parsed to `file_ast`.

    Raises `PolicyError` where it can't be asked.
    """
    return _Reader(query, file_ast).read()


def read_results(query: Query, value: object) -> dict[str, object]:
    """Return what `opa eval --format json` prints, from the value of the query's `code`."""
    if not isinstance(value, list):
        raise PolicyError("the engine's answer to the query has no known shape", where=PATH, fix="report this")
    results = [_result(query, solution) for solution in value]
    return {"result": results} if results else {}


def _result(query: Query, solution: object) -> dict[str, object]:
    values = solution.get("v") if isinstance(solution, dict) else None
    bindings = solution.get("b") if isinstance(solution, dict) else None
    if not isinstance(values, list) or len(values) != len(query.expressions) or not isinstance(bindings, dict):
        raise PolicyError("the engine's answer to the query has no known shape", where=PATH, fix="report this")
    expressions = [
        {"value": value, "text": each.text, "location": {"row": each.row, "col": each.column}}
        for each, value in zip(query.expressions, values, strict=True)
    ]
    return {"expressions": expressions, "bindings": bindings} if bindings else {"expressions": expressions}


class _Reader:
    def __init__(self, query: str, file_ast: Mapping[str, object]) -> None:
        self._ast = file_ast
        self._source = wrap_query(query).encode()
        self._bound: list[str] = []  # variables in the order they are first seen outside closures
        self._closed: set[str] = set()  # variables seen inside closures only, up to here
        self._declared: set[str] = set()
        self._iterates = False

    def read(self) -> Query:
        # 1. Whatever the text holds, it is the body of one rule: no second rule, no `else`, no import.
        statements = self._statements()
        # 2. Variables: what a solution binds, each bound before it is used.
        for statement in statements:
            self._read_variables(statement)
        if unused := self._declared - set(self._bound):
            self._refuse(f"the variable {min(unused)!r} is declared and not used", "remove `some`")
        if both := self._closed & set(self._bound):
            self._refuse(f"the variable {min(both)!r} is also one of a comprehension", "give it another name there")
        # 3. What OPA captures: every expression that is no assignment, membership, `every` or `not`.
        captures = self._iterates or len(statements) > 1
        expressions: list[Expression] = []
        lines: list[str] = []
        for statement in statements:
            text, row, column = self._text(statement)
            kind, literal = kind_of(find_part(statement, "literal"))
            if kind == "SomeVars":
                lines.append(text)
                continue
            capture = ""
            if kind == "Expr" and kind_of(find_part(literal, "expr"))[0] != "AssignExpr":
                capture = f"{_CAPTURE}{len(expressions)}"
                text_of_line = f"{capture} := {text}"
            else:
                text_of_line = text
            lines.append(text_of_line)
            if capture and captures:
                lines.append(f"{capture} != false")
            expressions.append(Expression(text, row, column, capture))
        values = ", ".join(each.capture or "true" for each in expressions)
        bindings = ", ".join(f'"{name}": {name}' for name in self._bound)
        body = "\n".join(lines)
        code = f'[{{"v": [{values}], "b": {{{bindings}}}}} |\n{body}\n]'
        return Query(code, f"package {PACKAGE}\n\nasked := {code}\n", tuple(expressions), tuple(self._bound))

    def _statements(self) -> list[Mapping[str, object]]:
        rules = list_of(find_part(self._ast, "ast", "rules"))
        kind, rule = kind_of(rules[0]) if len(rules) == 1 else ("", {})
        bodies = list_of(find_part(rule, "bodies"))
        head = find_part(rule, "head", "Compr")
        if (
            kind != "Spec"
            or len(bodies) != 1
            or find_part(head, "assign") is not None
            or list_of(find_part(self._ast, "imports"))
        ):
            self._refuse("this is no query: it ends the body it stands in", "write expressions only")
        statements = list_of(find_part(bodies[0], "query", "stmts"))
        if not statements:
            self._refuse("the query is empty", "ask like `data.family.rule.deny`")
        return [statement for statement in statements if isinstance(statement, dict)]

    def _read_variables(self, statement: Mapping[str, object]) -> None:
        kind, literal = kind_of(find_part(statement, "literal"))
        match kind:
            case "SomeVars":
                self._declared |= {self._slice(span) for span in list_of(find_part(literal, "vars"))}
            case "SomeIn":
                self._walk(find_part(literal, "collection"), binds=False)
                self._walk(find_part(literal, "key"), binds=True)
                self._walk(find_part(literal, "value"), binds=True)
            case "Every":
                self._walk(find_part(literal, "domain"), binds=False)
                self._close(find_part(literal, "query"))
            case "Expr" if kind_of(find_part(literal, "expr"))[0] == "AssignExpr":
                _, assignment = kind_of(find_part(literal, "expr"))
                # The value first: in `x := x` the second `x` is not the first.
                self._walk(find_part(assignment, "rhs"), binds=find_part(assignment, "op") == "Eq")
                self._walk(find_part(assignment, "lhs"), binds=True)
            case "Expr" | "NotExpr":
                self._walk(find_part(literal, "expr"), binds=False)
            case _:
                self._refuse(f"the query holds a statement of an unknown kind ({kind})", "write it otherwise")
        for modifier in list_of(find_part(statement, "with_mods")):
            self._walk(find_part(modifier, "as"), binds=False)

    def _walk(self, node: object, *, binds: bool) -> None:
        kind, inner = kind_of(node)
        match kind:
            case "Var":
                self._see(str(find_part(inner, "value")), binds=binds)
            case "RefDot":
                self._walk(find_part(inner, "refr"), binds=False)
            case "RefBrack":
                self._walk(find_part(inner, "refr"), binds=False)
                index = find_part(inner, "index")
                is_variable = kind_of(index)[0] == "Var"
                self._iterates |= is_variable
                self._walk(index, binds=is_variable)
            case "Call":
                for argument in list_of(find_part(inner, "params")):
                    self._walk(argument, binds=False)
            case _ if kind in _CLOSURES:
                self._close(inner)
            case _:
                # Patterns bind what stands in them; anything else only uses it.
                for below in inner.values():
                    self._walk_all(below, binds=binds and kind in _PATTERNS)

    def _walk_all(self, node: object, *, binds: bool) -> None:
        if isinstance(node, list):
            for item in node:
                self._walk_all(item, binds=binds)
        elif kind_of(node)[0] and isinstance(find_part(node, kind_of(node)[0]), dict):
            self._walk(node, binds=binds)

    def _see(self, name: str, *, binds: bool) -> None:
        if name in _ROOTS or name in self._bound:
            return
        if not binds or name in self._closed:
            self._refuse(f"{name!r} is used before it is bound", f"bind it in a statement before, {_USE_OPA}")
        self._bound.append(name)

    def _close(self, node: object) -> None:
        """Remember the variables of a closure that are not bound outside before."""
        stack = [node]
        while stack:
            found = stack.pop()
            if isinstance(found, list):
                stack.extend(found)
            elif isinstance(found, dict):
                kind, inner = kind_of(found)
                if kind == "Var" and isinstance(name := find_part(inner, "value"), str) and name not in self._bound:
                    self._closed.add(name)
                stack.extend(below for key, below in found.items() if key not in ("span", "fcn"))

    def _text(self, statement: Mapping[str, object]) -> tuple[str, int, int]:
        span = find_part(statement, "span")
        text, at = self._slice(span), find_part(span, "start")
        assert isinstance(at, int)
        start, _ = self._with_quotes(at, at)
        before = self._source[:start].decode()
        return text, before.count("\n") + 1 - _HEAD_LINES, len(before) - before.rfind("\n")

    def _slice(self, span: object) -> str:
        start, end = find_part(span, "start"), find_part(span, "end")
        if not isinstance(start, int) or not isinstance(end, int):
            self._refuse("the engine does not say where a statement stands", "report this")
        start, end = self._with_quotes(start, end)
        if not len(_HEAD) <= start < end <= len(self._source) - len(_TAIL):
            self._refuse("the query is empty", "ask like `data.family.rule.deny`")
        return self._source[start:end].decode()

    def _with_quotes(self, start: int, end: int) -> tuple[int, int]:
        """Return a span with the quotes that regorus leaves out where a string begins or ends it."""
        quotes = b'"`'
        return start - (self._source[start - 1] in quotes), end + (self._source[end] in quotes)

    def _refuse(self, cause: str, fix: str) -> NoReturn:
        raise PolicyError(cause, where=PATH, fix=fix)


def is_same_json(one: object, other: object) -> bool:
    """Say whether two JSON values are the same; to Python alone `1` and `true` would be."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same_json(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same_json, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def find_data_conflict(packages: Sequence[str], rules: Mapping[str, Sequence[str]], data: object) -> str | None:
    """Return the path below `data` where a document stands in the place of a package or a rule, or None.

    OPA refuses that; regorus lets the document silence the rule.
    """
    for package in packages:
        found, path = data, "data"
        for name in package.split("."):
            found, path = (found.get(name) if isinstance(found, dict) else None), f"{path}.{name}"
            if found is not None and not isinstance(found, dict):
                return path
            if found is None:
                break
        else:
            for rule in rules.get(package, ()):
                if isinstance(found, dict) and rule in found:
                    return f"{path}.{rule}"
    return None
