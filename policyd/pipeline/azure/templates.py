"""What Azure makes of a file before it runs: `${{ }}` that shapes the document, and templates put into it.

Both sides of an `if` are taken where it is not known how it comes out, with what each asks for. A loop runs over what
is known, and once over what is not. A template of the same repository is read in place, with the parameters it is
given; one of another repository, or one that is missing, stays a name.

Source: learn.microsoft.com "Template types & usage", "Template expressions", "Template parameters".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from posixpath import normpath

from policyd.errors import InputTooLarge
from policyd.models.base import JsonPath
from policyd.pipeline.azure.conditions import asks_for_part, join, narrow
from policyd.pipeline.azure.expressions import Node, find_marks, parse_expression, whole_template
from policyd.pipeline.azure.parts import UNKNOWN, Names, Parameter, Part, SourceFile
from policyd.pipeline.characters import quoted
from policyd.pipeline.front_end import Included
from policyd.pipeline.shapes import Shapes
from policyd.pipeline.source_map import SourceMap, Spot
from policyd.pipeline.yaml_reader import YamlDocument, read_yaml_with_places

MAX_TEMPLATES_INSIDE = 20  # levels, as Azure
MAX_INCLUDED = 2_000  # templates put in, each counted twice: looked through, and read; Azure takes 100 files
MAX_INCLUDED_BYTES = 20 * 1024 * 1024  # of all of these together
MAX_PARTS = 300_000  # that loops, parameters and templates make; a real pipeline has some thousand
MAX_DEPTH = 100  # of parts in parts
MAX_RESOLVED = 10  # a parameter that is given as a parameter
MAX_KEPT_BYTES = 256 * 1024  # of a file that is kept parsed

#: Types whose values can't be any text.
_CONSTRAINED = frozenset(("boolean", "number"))
_DIRECTIVE = re.compile(r"\s*(if|elseif|else|each|insert)\b(.*)\Z", re.DOTALL)
_EACH = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s+in\s+(.*)\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Directive:
    """A key that shapes the document: `${{ if ... }}` and its like."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Template:
    """A `template:`: the path and alias it names, what it is given, and its root if it is a file that is there."""

    part: Part
    text: str
    path: str
    alias: str
    given: Mapping[str, Part]
    root: Part | None

    @property
    def local(self) -> bool:
        """Whether it is of the same repository."""
        return self.alias in ("", "self")


@dataclass(slots=True)
class Templates(Shapes[Part]):
    """Reads parts of the file judged and of templates in it. `open` says that not all of it could be seen."""

    system = "Azure Pipelines"

    path: str
    document: YamlDocument
    included: Included
    missing: list[str] = field(default_factory=list)
    asked: dict[Spot, str] = field(default_factory=dict)  # `${{ if }}` that looks for a part of a branch's name
    root: Part = field(init=False)
    _documents: dict[str, YamlDocument] = field(default_factory=dict)
    _parts: int = 0
    _count: int = 0
    _bytes: int = 0

    def __post_init__(self) -> None:
        root = Part(self.document.value, (), SourceFile(self.path, self.document.source_map), Names())
        if not isinstance(root.value, dict):
            self.refuse_shape(root.value, root, "a pipeline", "mapping")
        self.root = self._with_parameters(root, None, ())

    def locate(self, at: Part) -> tuple[SourceMap, JsonPath]:
        """Return where a part is written."""
        return at.file.map, at.path

    # Values.

    def find_value(self, expression: str, part: Part) -> Part | None:
        """Return what an expression at `part` stands for, `None` where that is not known here."""
        root = parse_expression(expression).root
        return None if root is None else self._value(root, part)

    def _value(self, node: Node, part: Part) -> Part | None:
        if node.kind == "literal":
            value = node.value
            if isinstance(value, float):
                value = int(value) if value.is_integer() else value
            text = ("true" if value else "false") if isinstance(value, bool) else "" if value is None else str(value)
            return part._replace(value=text, entries=None, items=None)
        if node.kind == "call" and node.name == "coalesce":
            for below in node.below:
                found = self._value(below, part)
                if found is None or found.value is UNKNOWN or found.is_mapping or found.is_list:
                    return None
                if found.value not in (None, ""):
                    return found
        if node.kind != "context":
            return None
        return self._look_up(node.parts, part.names)

    def _look_up(self, names: tuple[str, ...], known: Names) -> Part | None:
        first, rest = names[0].lower(), names[1:]
        if first == "parameters" and rest:
            parameter = known.parameters.get(rest[0].lower())
            found, rest = (parameter.value if parameter else None), rest[1:]
        else:
            found = known.loops.get(first)
        for name in rest:
            if found is None:
                return None
            found = self.resolve(found)
            if found.entries is not None:
                found = found.entries.get(name)
            elif isinstance(found.value, dict) and name in found.value:
                found = found.below(name, found.value[name])
            else:
                return None
        return found

    def find_parameter(self, names: tuple[str, ...], part: Part) -> Parameter | None:
        """Return the parameter that a context at `part` reads."""
        if len(names) < 2 or names[0].lower() != "parameters":
            return None
        return part.names.parameters.get(names[1].lower())

    def resolve(self, part: Part) -> Part:
        """Return what a text that is one whole `${{ }}` stands for; other parts are themselves."""
        for _ in range(MAX_RESOLVED):
            value = part.value
            if part.entries is not None or part.items is not None or not isinstance(value, str) or "${{" not in value:
                return part
            expression = whole_template(value)
            found = self.find_value(expression, part) if expression is not None else None
            if found is None or found.value is UNKNOWN:
                return part
            if not found.is_mapping and not found.is_list and self._is_open_context(expression or "", part):
                return part  # can be any text; `text` takes its default
            part = found._replace(reach=join((found.reach, part.reach)))
        return part._replace(value=UNKNOWN)

    def default_of(self, part: Part) -> Part | None:
        """Return the text that a parameter has unless somebody chooses another, where `part` is all that parameter."""
        expression = whole_template(part.value) if isinstance(part.value, str) else None
        if expression is None or not self._is_open_context(expression, part):
            return None
        found = self.find_value(expression, part)
        return found if found is not None and isinstance(found.value, str) and found.value else None

    # Shapes. What is not known is nothing.

    def mapping(self, part: Part | None, what: str) -> dict[str, Part]:
        """Return the entries of a mapping; what two sides of an `if` give to one name is put together."""
        found: dict[str, Part] = {}
        for name, below in self.pairs(part, what):
            found[name] = _both(found[name], below) if name in found else below
        return found

    def pairs(self, part: Part | None, what: str) -> Iterator[tuple[str, Part]]:
        """Yield the entries of a mapping; a name can come twice, from two sides of an `if`."""
        if part is not None:
            yield from self._pairs(part, what, 0)

    def _pairs(self, part: Part, what: str, depth: int) -> Iterator[tuple[str, Part]]:
        part = self.resolve(part)
        self._check_depth(depth, part)
        if not part.is_mapping:
            if part.value is None or self.is_open(part):
                return
            self.refuse_shape(part.value, part, what, "mapping")
        chain = _Chain(self)
        for name, below in self._entries(part):
            self._grow(part)
            if "${{" not in name:
                chain.end()
                yield name, below
                continue
            directive = _directive(name)
            if directive is None:
                chain.end()
                found = self.find_value(whole_template(name) or "", part)
                known = found is not None and isinstance(found.value, str)
                yield (str(found.value) if known and found is not None else name), below
                continue
            for taken in self._taken(directive, below, chain):
                yield from self._pairs(taken, what, depth + 1)

    def _entries(self, part: Part) -> Iterator[tuple[str, Part]]:
        if part.entries is not None:
            yield from part.entries.items()
        elif isinstance(part.value, dict):
            for name, value in part.value.items():
                yield name, part.below(name, value)

    def items(self, part: Part | None, what: str) -> Iterator[Part]:
        """Yield the items of a list, those that `${{ }}` puts into it included."""
        if part is not None:
            yield from self._items(part, what, 0)

    def _items(self, part: Part, what: str, depth: int) -> Iterator[Part]:
        part = self.resolve(part)
        self._check_depth(depth, part)
        if part.items is None and not isinstance(part.value, list):
            if (part.value is None and part.entries is None) or self.is_open(part):
                return
            self.refuse_shape(part.value, part, what, "list")
        listed = part.items if part.items is not None else ()
        if part.items is None and isinstance(part.value, list):
            listed = tuple(part.below(index, value) for index, value in enumerate(part.value))
        chain = _Chain(self)
        for item in listed:
            self._grow(part)
            directives = self._directives_of(item)
            if directives:
                for directive, below in directives:
                    self._note(directive, item)
                    for taken in self._taken(directive, below, chain):
                        yield from self._items(taken, what, depth + 1)
                continue
            chain.end()
            found = self.resolve(item)
            if found.is_list:
                yield from self._items(found, what, depth + 1)
            elif found.value is not UNKNOWN:
                yield found

    def _note(self, directive: Directive, item: Part) -> None:
        """Remember an `if` that also holds for names which only contain the right one."""
        if directive.kind in ("if", "elseif"):
            root = parse_expression(directive.text.strip()).root
            if root is not None and asks_for_part(root):
                self.asked[item.spot()] = directive.text.strip()

    def _directives_of(self, item: Part) -> list[tuple[Directive, Part]]:
        """Return the directives of an item that puts lists in its place."""
        if item.entries is not None or not isinstance(item.value, dict) or not item.value:
            return []
        found = []
        for name, value in item.value.items():
            directive = _directive(name) if "${{" in name else None
            below = self.resolve(item.below(name, value))
            if directive is None or not (below.is_list or below.value is None or self.is_open(below)):
                return []
            found.append((directive, below))
        return found

    def _taken(self, directive: Directive, below: Part, chain: _Chain) -> Iterator[Part]:
        """Yield what a directive puts in its place: nothing, its value, or its value for each turn of a loop."""
        if directive.kind == "each":
            chain.end()
            found = _EACH.match(directive.text)
            if found is None:
                self.refuse(f"{quoted(directive.text)} is not a loop", below)
            for turn in self._turns(found[2], below):
                loops = {**below.names.loops, found[1].lower(): turn}
                yield below._replace(names=replace(below.names, loops=loops))
        elif directive.kind == "insert":
            chain.end()
            yield below
        else:
            taken = chain.take(directive, below)
            if taken is not None:
                yield taken

    def _turns(self, expression: str, part: Part) -> Iterator[Part]:
        found = self.find_value(expression, part)
        found = self.resolve(found) if found is not None else None
        if found is None or not (found.is_list or found.is_mapping):
            yield part._replace(value=UNKNOWN, entries=None, items=None)
            return
        if found.is_list:
            turns = list(self.items(found, "what a loop runs over"))
            if not turns and self._is_open_context(expression, part):
                turns = [part._replace(value=UNKNOWN, entries=None, items=None)]  # callers give more
            yield from turns
            return
        for name, below in self.pairs(found, "what a loop runs over"):
            key = below._replace(value=name, entries=None, items=None)
            yield below._replace(value=None, entries={"key": key, "value": below}, items=None)

    def _is_open_context(self, expression: str, part: Part) -> bool:
        root = parse_expression(expression).root
        parameter = self.find_parameter(root.parts, part) if root is not None else None
        return parameter is not None and parameter.open

    def is_open(self, part: Part) -> bool:
        """Say whether a part is not known here: a parameter, or something of another repository."""
        value = part.value
        return value is UNKNOWN or (isinstance(value, str) and ("${{" in value or value.strip().startswith("$[")))

    def names(self, part: Part | None, what: str) -> list[Part]:
        """Return a name, or a list of them, as a list."""
        if part is None:
            return []
        part = self.resolve(part)
        if part.is_list:
            return [item for item in self.items(part, what) if not item.is_mapping]
        return [] if part.value is None or part.value is UNKNOWN or part.is_mapping else [part]

    def texts(self, part: Part | None, what: str) -> list[str]:
        """Return a name, or a list of them, as texts."""
        return [text for one in self.names(part, what) if (text := self.text(one, what))]

    def raw(self, part: Part, what: str) -> str:
        """Return a scalar's characters as written, so that offsets in it hold; nothing at all is an empty text."""
        value = part.value
        if isinstance(value, str):
            return value
        if value is UNKNOWN or (value is None and part.entries is None and part.items is None):
            return ""
        if part.is_mapping or part.is_list:
            self.refuse_shape({} if part.is_mapping else [], part, what, "text")
        return part.file.map.scalar_text(part.path) or str(value)

    def text(self, part: Part | None, what: str) -> str:
        """Return a scalar's characters with every `${{ }}` that is known replaced; others stay."""
        if part is None:
            return ""
        part = self.resolve(part)
        text = self.raw(part, what)
        return self.expand(text, part) if "${{" in text else text

    def expand(self, text: str, part: Part) -> str:
        """Return a text at `part` with every `${{ }}` that is known replaced."""
        pieces: list[str] = []
        position = 0
        for mark in find_marks(text):
            if mark.kind != "template":
                continue
            found = self.find_value(mark.inner, part)
            found = self.resolve(found) if found is not None else None
            if found is not None and not found.is_mapping and not found.is_list and found.value is not UNKNOWN:
                pieces += (text[position : mark.start], self.raw(found, "a value")[:_MAX_TEXT])
                position = mark.end
        pieces.append(text[position:])
        return "".join(pieces)

    def _grow(self, part: Part) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise InputTooLarge(
                f"the pipeline has more than {MAX_PARTS} parts once its templates are put in",
                where=part.where(),
                fix="split the pipeline",
            )

    def _check_depth(self, depth: int, part: Part) -> None:
        if depth > MAX_DEPTH:
            self.refuse(f"parts lie more than {MAX_DEPTH} deep in each other, or a parameter in itself", part)

    # Templates.

    def template(self, entries: Mapping[str, Part], part: Part) -> Template:
        """Return the template that an entry with `template` names, with its root where it is there.

        Raises `DocumentError` where a template leads back to itself.
        """
        named = self.resolve(entries["template"])
        text = self.text(named, "`template`")
        given = {name.lower(): below for name, below in self.pairs(entries.get("parameters"), "`parameters`")}
        path, _, alias = text.partition("@")
        known = Template(named, text, path, alias, given, None)
        if not known.local or "${{" in text or "$(" in text or not path.strip():
            return known
        found = self._find(path.strip(), alias, named)
        if found is None:
            return known
        name, content = found
        return replace(known, path=name, root=self._include(name, content, given, named))

    def _find(self, name: str, alias: str, named: Part) -> tuple[str, bytes] | None:
        """Return path and content of a template; what is not there yet is noted as missing.

        `/` is the top of the repository, which in a folder of samples can be the folder of the pipeline.
        """
        folder = named.file.path.rpartition("/")[0]
        plain = name.replace("\\", "/").lstrip("/")
        candidates = [f"{folder}/{plain}"]
        if name.startswith(("/", "\\")) or alias:
            candidates = [plain, f"{self.path.rpartition('/')[0]}/{plain}"]
        for candidate in dict.fromkeys(normpath(one.lstrip("/")) for one in candidates):
            if candidate.startswith(".."):
                continue
            if candidate == self.path or candidate in named.names.files:
                self.refuse(f"the template {quoted(candidate)} includes itself, directly or not", named)
            if candidate not in self.included:
                self.missing.append(candidate)
                return None
            content = self.included[candidate]
            if content is not None:
                return candidate, content
        return None

    def _include(self, name: str, content: bytes, given: Mapping[str, Part], named: Part) -> Part:
        self._count += 1
        if self._count > MAX_INCLUDED:
            raise InputTooLarge(
                f"more than {MAX_INCLUDED} templates are put in", where=named.where(), fix="split the pipeline"
            )
        files = (*named.names.files, name)
        if len(files) > MAX_TEMPLATES_INSIDE:
            self.refuse(f"templates lie more than {MAX_TEMPLATES_INSIDE} deep in each other", named)
        self._bytes += len(content)
        if self._bytes > MAX_INCLUDED_BYTES:
            raise InputTooLarge(
                f"the templates put in have more than {MAX_INCLUDED_BYTES} bytes together",
                where=named.where(),
                fix="include less",
            )
        document = self._documents.get(name)
        if document is None:
            document = self._documents[name] = _read(name, content)
        root = Part(
            document.value, (), SourceFile(name, document.source_map, document.source_map), Names(), named.reach
        )
        if not isinstance(root.value, dict):
            self.refuse_shape(root.value, root, "a template", "mapping")
        return self._with_parameters(root, given, files)

    def _with_parameters(self, root: Part, given: Mapping[str, Part] | None, files: tuple[str, ...]) -> Part:
        """Return the root of a file with its parameters known; `given` are those of its caller, if it has one."""
        declared = root.value.get("parameters") if isinstance(root.value, dict) else None
        found: dict[str, Parameter] = {}
        base = root.below("parameters", declared)._replace(names=Names(files=files))
        if isinstance(declared, dict):  # as Azure took them first: names with defaults
            for name, value in declared.items():
                found[name.lower()] = Parameter(name, value=base.below(name, value), open=given is None)
        elif isinstance(declared, list):
            for index, entry in enumerate(declared):
                if not isinstance(entry, dict):
                    self.refuse_shape(entry, base.below(index, entry), "a parameter", "mapping")
                parameter = self._parameter(base.below(index, entry), entry, opened=given is None)
                found[parameter.name.lower()] = parameter
        elif declared is not None:
            self.refuse_shape(declared, base, "`parameters`", "list")
        for name, part in (given or {}).items():
            known = found.get(name, Parameter(name))
            found[name] = replace(known, value=part, given=True)
        return root._replace(names=Names(found, {}, files))

    def _parameter(self, part: Part, entry: Mapping[str, object], *, opened: bool) -> Parameter:
        name = entry.get("name")
        kind = entry.get("type")
        kind = kind.lower() if isinstance(kind, str) else ""
        default = part.below("default", entry["default"]) if "default" in entry else None
        return Parameter(
            name if isinstance(name, str) else self.raw(part.below("name", name), "`name`"),
            kind,
            default,
            constrained=kind in _CONSTRAINED or bool(entry.get("values")),
            open=opened,
        )


_MAX_TEXT = 4096  # of a value put into a text


class _Chain:
    """An `if` with the `elseif`s and `else` that follow it."""

    def __init__(self, templates: Templates) -> None:
        self._templates = templates
        self._conditions: list[tuple[Node | None, Part]] = []
        self._decided = False

    def end(self) -> None:
        """Forget the chain: something else follows."""
        self._conditions = []
        self._decided = False

    def take(self, directive: Directive, below: Part) -> Part | None:
        """Return the value of a branch with what it asks for, `None` where it is not taken."""
        if directive.kind == "if":
            self.end()
        if self._decided:
            return None
        root = None if directive.kind == "else" else parse_expression(directive.text.strip()).root
        truth = True if directive.kind == "else" else None if root is None else self._decide(root, below)
        reach = below.reach
        for condition, _ in self._conditions[-_MAX_CHAIN:]:
            reach = narrow(reach, condition, holds=False)
        if directive.kind != "else":
            self._conditions.append((root, below))
            reach = narrow(reach, root)
        self._decided = truth is True
        return None if truth is False else below._replace(reach=reach)

    def _decide(self, node: Node, part: Part) -> bool | None:
        """Return how a condition comes out, `None` where that depends on the run."""
        if node.kind == "call" and node.name in ("and", "or"):
            sides = [self._decide(side, part) for side in node.below]
            decided = node.name == "or"
            if decided in sides:
                return decided
            return None if None in sides else not decided
        if node.kind == "call" and node.name == "not" and len(node.below) == 1:
            inner = self._decide(node.below[0], part)
            return None if inner is None else not inner
        if node.kind == "call" and node.name in ("eq", "ne") and len(node.below) == 2:
            left, right = (self._scalar(side, part) for side in node.below)
            if left is None or right is None:
                return None
            equal = left.lower() == right.lower()
            if (
                not equal
                and not self._is_boolean(node.below, part)
                and {left.lower(), right.lower()} & {"true", "false", ""}
            ):
                return None  # texts, truths and nothing are not compared as they look
            return equal is (node.name == "eq")
        if node.kind == "literal":
            return bool(node.value)
        text = self._scalar(node, part)
        if text is None or text.lower() not in ("true", "false"):
            return None
        if text.lower() == "false" and not self._is_boolean((node,), part):
            return None  # a text counts as true, whatever it says
        return text.lower() == "true"

    def _is_boolean(self, nodes: tuple[Node, ...], part: Part) -> bool:
        """Say whether one of `nodes` is a parameter that can only be true or false."""
        found = (self._templates.find_parameter(node.parts, part) for node in nodes)
        return any(parameter is not None and parameter.kind == "boolean" for parameter in found)

    def _scalar(self, node: Node, part: Part) -> str | None:
        """Return the text that a side of a comparison surely is."""
        if node.kind == "context":
            parameter = self._templates.find_parameter(node.parts, part)
            if parameter is not None and parameter.open:
                return None
        elif node.kind != "literal":
            return None
        found = self._templates._value(node, part)
        found = self._templates.resolve(found) if found is not None else None
        if found is None or found.is_mapping or found.is_list or found.value is UNKNOWN:
            return None
        text = self._templates.raw(found, "a value")
        return None if "$" in text else text


_MAX_CHAIN = 20  # conditions before an `else` that are looked at


def _directive(name: str) -> Directive | None:
    inner = whole_template(name)
    found = _DIRECTIVE.match(inner) if inner is not None else None
    return Directive(found[1], found[2]) if found else None


def _both(first: Part, second: Part) -> Part:
    """Return what two sides of an `if` give to one name: lists and mappings together, else the first."""
    if first.is_list and second.is_list:
        return first._replace(items=(*_listed(first), *_listed(second)), value=None)
    return first


def _listed(part: Part) -> tuple[Part, ...]:
    if part.items is not None:
        return part.items
    return tuple(
        part.below(index, value) for index, value in enumerate(part.value if isinstance(part.value, list) else ())
    )


def _read_now(path: str, content: bytes) -> YamlDocument:
    return read_yaml_with_places(content, file=path)


#: A template is read again each time a file that it includes has been fetched.
_read_kept = lru_cache(maxsize=32)(_read_now)


def _read(path: str, content: bytes) -> YamlDocument:
    return _read_kept(path, content) if len(content) <= MAX_KEPT_BYTES else _read_now(path, content)
