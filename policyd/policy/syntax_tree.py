"""The syntax tree that regorus makes of a module (`get_ast_as_json`), read by those who walk it.

Nodes are one-key objects named after their kind; strings of the source are only ever values, so a kind can't be forged
from policy text. What is not of the shape expected is an empty node, never an error: whoever walks decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

Node = Mapping[str, object]


def kind_of(node: object) -> tuple[str, Node]:
    """Return the kind of a node and what is in it: "" and nothing where this is no node."""
    if isinstance(node, dict) and len(node) == 1:
        kind, inner = next(iter(node.items()))
        return kind, inner if isinstance(inner, dict) else {}
    return "", {}


def find_part(node: object, *keys: str) -> object:
    """Return what stands below `keys`, each a step down; None where there is nothing."""
    for key in keys:
        node = node.get(key) if isinstance(node, dict) else None
    return node


def list_of(node: object) -> list[object]:
    """Return a list as it is, and an empty one for anything else."""
    return node if isinstance(node, list) else []


def walk(root: object) -> Iterator[tuple[str, Node]]:
    """Yield every named part below `root`, in the order of the source."""
    stack: list[object] = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack.extend(reversed(node))
        elif isinstance(node, dict):
            for kind, inner in node.items():
                if kind == "span" or kind == "field":
                    continue
                if kind == "with_mods" or isinstance(inner, dict):
                    yield kind, inner
            stack.extend(inner for kind, inner in node.items() if kind != "span" and isinstance(inner, dict | list))


def find_dotted(node: object) -> str | None:
    """Return `a.b.c` for a reference of plain names, None for any other node."""
    parts: list[str] = []
    kind, inner = kind_of(node)
    while kind == "RefDot":
        field = find_part(inner, "field")
        if not isinstance(field, list) or len(field) != 2:
            return None
        parts.append(str(field[1]))
        kind, inner = kind_of(find_part(inner, "refr"))
    if kind != "Var":
        return None
    return ".".join([str(find_part(inner, "value")), *reversed(parts)])


def find_text(node: object) -> str | None:
    """Return the text that a node is, None for any other node."""
    kind, inner = kind_of(node)
    value = find_part(inner, "value")
    return value if kind in ("String", "RawString") and isinstance(value, str) else None


def find_line(node: object) -> int | None:
    """Return the line of a node, else that of the first part of it that has one."""
    line = find_part(node, "span", "line")
    if line is None:
        for _, inner in walk(node):
            line = find_part(inner, "span", "line")
            if line is not None:
                break
    return line if isinstance(line, int) else None


def package_of(file_ast: Node) -> str:
    """Return the package of a module, "" where it is no plain name."""
    return find_dotted(find_part(file_ast, "ast", "package", "refr")) or ""


def rule_heads(file_ast: object) -> Iterator[tuple[str, object]]:
    """Yield each rule with its first name: `deny`, `f`, or `a` of `a.b.c := 1`."""
    for rule in list_of(find_part(file_ast, "ast", "rules")):
        kind, body = kind_of(rule)
        head = kind_of(find_part(body, "head"))[1] if kind == "Spec" else body
        yield root_name(find_part(head, "refr")), body


def root_name(node: object) -> str:
    """Return the first name of a reference."""
    kind, inner = kind_of(node)
    while kind in ("RefDot", "RefBrack"):
        kind, inner = kind_of(find_part(inner, "refr"))
    return str(find_part(inner, "value"))
