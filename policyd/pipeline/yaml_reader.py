"""YAML as policyd reads it: bounded, by the rules of YAML 1.2, and so that no two readers can differ.

The value is built from the parser's *events*. PyYAML's `compose` and `load` recurse in C and take the process down at
depth 100,000; events come one at a time, so every bound is checked before more is read (docs/adr/0008).

What other readers read differently is refused rather than guessed at: duplicate keys, merge keys, directives, a
second document, line ends of YAML 1.1 that YAML 1.2 no longer knows. Scalars follow the core schema of YAML 1.2.2,
section 10.3: `on`, `yes`, dates and `1_000` are strings, `0o14` and `0x0c` numbers. What one CI system takes beyond
YAML 1.2 is allowed by its `YamlDialect` alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from policyd.errors import DocumentError, InputTooLarge
from policyd.pipeline.characters import describe_character, quoted
from policyd.pipeline.source_map import LINE_END, AliasNode, MappingNode, Node, ScalarNode, SequenceNode, SourceMap

MAX_BYTES = 10 * 1024 * 1024  # real pipeline files stay below 1 MiB


@dataclass(frozen=True, slots=True)
class YamlLimits:
    """What a document may cost. `expanded_*` count what aliases repeat, so a small file can't stand for a huge one."""

    content_bytes: int = MAX_BYTES
    depth: int = 64  # real pipeline files stay below 20
    nodes: int = 200_000
    aliases: int = 1_000
    expanded_nodes: int = 50_000
    expanded_characters: int = 1024 * 1024


@dataclass(frozen=True, slots=True)
class YamlDialect:
    """What a system's reader takes beyond YAML 1.2: merge keys, and tags on lists, which become `TaggedList`s."""

    merge_keys: bool = False
    list_tags: frozenset[str] = frozenset()


class TaggedList(list[object]):
    """A list with a tag of the dialect, such as GitLab's `!reference [job, script]`; JSON makes a list of it."""

    __slots__ = ("tag",)

    def __init__(self, tag: str) -> None:
        super().__init__()
        self.tag = tag


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """A parsed document: its JSON-like value (shared where aliases repeat it; never change it) and its source map."""

    value: object
    source_map: SourceMap


def read_yaml(content: bytes, *, where: str, max_bytes: int = MAX_BYTES) -> object:
    """Return the value of the one document in `content`. `where` is its name in errors.

    Raises `InputTooLarge` beyond a limit and `DocumentError` for everything else, both with `where:line:column`.
    """
    return read_yaml_with_places(content, file=where, limits=YamlLimits(content_bytes=max_bytes)).value


def read_yaml_with_places(
    content: bytes, *, file: str, limits: YamlLimits | None = None, dialect: YamlDialect | None = None
) -> YamlDocument:
    """Return the one document in `content` with the place of each of its parts. Raises as `read_yaml`."""
    reader = _Reader(content, file, limits or YamlLimits(), dialect=dialect)
    documents = reader.read()
    if not documents:
        reader.refuse("the file is empty", 0, "write the document, or remove the file")
    value, node = documents[0]
    return YamlDocument(value, SourceMap(file, reader.text, node))


def read_yaml_documents_with_places(
    content: bytes, *, file: str, limits: YamlLimits | None = None, dialect: YamlDialect | None = None
) -> list[YamlDocument]:
    """Return all documents in `content` with the places of their parts, empty ones left out.

    The limits hold for all of them together. Raises as `read_yaml`.
    """
    reader = _Reader(content, file, limits or YamlLimits(), several=True, dialect=dialect)
    return [
        YamlDocument(value, SourceMap(file, reader.text, node)) for value, node in reader.read() if value is not None
    ]


def read_yaml_documents(content: bytes, *, where: str, max_bytes: int = MAX_BYTES) -> list[object]:
    """Return the values of all documents in `content`, empty ones left out. The limits hold for all of them together.

    For files that other programs write, such as Kubernetes manifests. Raises as `read_yaml`.
    """
    reader = _Reader(content, where, YamlLimits(content_bytes=max_bytes), several=True)
    return [value for value, _ in reader.read() if value is not None]


# What YAML 1.2 does not allow in a file, and U+0085, U+2028 and U+2029, which end a line in YAML 1.1 only.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_LEADING_DIRECTIVE = re.compile(r"(?:[ \t]*+(?:#[^\r\n]*+)?(?:\r\n|\n|\r))*+%")
_LINE = re.compile(r"[^\r\n]+")

_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_BASED_INTEGER = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
#: The largest integer every JSON reader and RFC 8785 keep exactly.
_MAX_INTEGER = 2**53 - 1
_MAX_DIGITS = 400  # of any number; keeps conversion cheap

_CORE = "tag:yaml.org,2002:"
_SCALAR_TAGS: dict[str, tuple[type, ...]] = {
    _CORE + "null": (type(None),),
    _CORE + "bool": (bool,),
    _CORE + "int": (int,),
    _CORE + "float": (int, float),
}


class _Open:
    """A mapping or sequence that has not ended, and what it weighs so far."""

    __slots__ = ("anchor", "characters", "height", "key", "merged", "node", "nodes", "value")

    def __init__(self, value: dict[str, object] | list[object], node: MappingNode | SequenceNode, anchor: str | None):
        self.value = value
        self.node = node
        self.anchor = anchor
        self.key: ScalarNode | None = None
        self.merged: set[str] = set()  # keys that only a merge key brought
        self.nodes, self.characters, self.height = 1, 0, 1


@dataclass(frozen=True, slots=True)
class _Anchored:
    """What an alias repeats."""

    value: object
    node: Node
    nodes: int
    characters: int
    height: int


class _Reader:
    def __init__(
        self,
        content: bytes,
        file: str,
        limits: YamlLimits,
        *,
        several: bool = False,
        dialect: YamlDialect | None = None,
    ) -> None:
        self.several = several
        self.dialect = dialect or YamlDialect()
        self.file = file
        self.limits = limits
        self.text = self._decode(content)
        self.stack: list[_Open] = []
        self.anchors: dict[str, _Anchored] = {}
        self.nodes = self.aliases = self.expanded_nodes = self.expanded_characters = 0
        self.documents: list[tuple[object, Node]] = []

    def read(self) -> list[tuple[object, Node]]:
        directive = _LEADING_DIRECTIVE.match(self.text)
        if directive:
            self.refuse("the file starts with a YAML directive", directive.end() - 1, "remove the lines before `---`")
        try:
            self._read_events()
        except yaml.YAMLError as error:
            self._translate(error)
        return self.documents

    def _decode(self, content: bytes) -> str:
        if len(content) > self.limits.content_bytes:
            raise InputTooLarge(
                f"the file has more than {self.limits.content_bytes} bytes",
                where=self.file,
                fix="split it; policyd reads nothing of a file beyond this size",
            )
        try:
            text = content.decode("utf-8").removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            column = len(content[content.rfind(b"\n", 0, error.start) + 1 : error.start].decode("utf-8", "replace")) + 1
            raise DocumentError(
                f"byte 0x{content[error.start]:02X} is not UTF-8",
                where=f"{self.file}:{line}:{column}",
                fix="save the file as UTF-8",
            ) from error
        self.text = text
        forbidden = _FORBIDDEN.search(text)
        if forbidden:
            self.refuse(
                f"the file holds {describe_character(forbidden[0])}, which YAML does not allow here",
                forbidden.start(),
                "remove the character; where a text needs it, write it as an escape in double quotes",
            )
        return text

    def _read_events(self) -> None:
        loader = yaml.CSafeLoader(self.text)
        try:
            self._take_events(loader.get_event)
        finally:
            loader.dispose()

    def _take_events(self, next_event: Callable[[], Any]) -> None:
        # As `yaml.parse` does, without a generator and a second look for each event.
        while (event := next_event()) is not None:
            kind = type(event)
            if kind is ScalarEvent:
                self._scalar(event)
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                self._start(event, mapping=kind is MappingStartEvent)
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                self._end(event)
            elif kind is AliasEvent:
                self._alias(event)
            elif kind is DocumentEndEvent and not self._next_document(event.end_mark.index):
                return

    def _next_document(self, index: int) -> bool:
        """Say whether another document follows and is wanted.

        Seen in the text and not from events: libyaml's work on directives grows with the square of their number.
        """
        for line in _LINE.finditer(self.text, index):
            words = line[0].strip(" \t")
            if not words or words == "..." or words.startswith("#"):
                continue
            if not self.several:
                self.refuse("something follows the end of the document", line.start(), "keep one document a file")
            if words.startswith("%"):
                self.refuse("a document starts with a YAML directive", line.start(), "remove the line")
            self.anchors.clear()
            return True
        return False

    def _scalar(self, event: Any) -> None:
        self._count_node(event)
        mark = event.start_mark
        node = ScalarNode(mark.index, event.end_mark.index, event.style or "", event.value)
        if "\0" in event.value:
            self.refuse("a value holds the character U+0000", mark.index, "remove it; no program can be given it")
        parent = self.stack[-1] if self.stack else None
        if parent is not None and parent.key is None and type(parent.node) is MappingNode:
            self._key(parent, node, event)
            return
        value = self._value_of(event)
        weight = len(node.value)
        if event.anchor:
            self.anchors[event.anchor] = _Anchored(value, node, 1, weight, 0)
        self._add(value, node, 1, weight, 0)

    def _key(self, parent: _Open, key: ScalarNode, event: Any) -> None:
        # A key keeps its characters whatever type they would have: `on` and `1` are names here.
        name = key.value
        if not name and not key.style:
            self.refuse("a key is empty", key.start, "write a name before the colon")
        if name == "<<" and not self.dialect.merge_keys:
            self.refuse(
                "merge keys (`<<`) are not part of YAML 1.2",
                key.start,
                "write the fields out, or use an alias for a whole value",
            )
        if event.tag not in (None, "!", _CORE + "str"):
            self.refuse(f"the key {quoted(name)} has the tag {quoted(event.tag)}", key.start, "remove the tag")
        if event.anchor:
            self.refuse(f"the key {quoted(name)} has an anchor", key.start, "put the anchor on a value")
        assert isinstance(parent.value, dict)
        if name in parent.value and name not in parent.merged:
            first = self._where(parent.node.entries[name][0].start) if type(parent.node) is MappingNode else ""
            self.refuse(
                f"the key {quoted(name)} stands twice in one mapping, first at {first}",
                key.start,
                "remove one of them; readers differ in which one counts",
            )
        parent.merged.discard(name)
        parent.key = key
        parent.characters += len(name)

    def _start(self, event: Any, *, mapping: bool) -> None:
        start = event.start_mark.index
        self._count_node(event)
        if len(self.stack) >= self.limits.depth:
            self._exceed(f"values are nested more than {self.limits.depth} deep", start)
        tagged = not mapping and event.tag in self.dialect.list_tags
        if not tagged and event.tag not in (None, "!", _CORE + ("map" if mapping else "seq")):
            self.refuse(f"the tag {quoted(event.tag)} is not known", start, "remove the tag")
        if self.stack and self.stack[-1].key is None and type(self.stack[-1].node) is MappingNode:
            self.refuse("a key is a list or a mapping", start, "use a name as the key")
        end = event.end_mark.index
        self.stack.append(
            _Open({}, MappingNode(start, end), event.anchor)
            if mapping
            else _Open(TaggedList(event.tag) if tagged else [], SequenceNode(start, end), event.anchor)
        )

    def _end(self, event: Any) -> None:
        done = self.stack.pop()
        done.node.end = event.end_mark.index
        if done.anchor:
            self.anchors[done.anchor] = _Anchored(done.value, done.node, done.nodes, done.characters, done.height)
        self._add(done.value, done.node, done.nodes, done.characters, done.height)

    def _alias(self, event: Any) -> None:
        start = event.start_mark.index
        name = event.anchor
        self.aliases += 1
        if self.aliases > self.limits.aliases:
            self._exceed(f"the file has more than {self.limits.aliases} aliases", start)
        if self.stack and self.stack[-1].key is None and type(self.stack[-1].node) is MappingNode:
            self.refuse("a key is an alias", start, "write the key out")
        anchored = self.anchors.get(name)
        if any(opened.anchor == name for opened in self.stack):
            self.refuse(f"the alias *{name} stands inside its own anchor", start, "remove the alias")
        if anchored is None:
            self.refuse(f"the alias *{name} has no anchor before it", start, f"add &{name} to a value above")
        self.expanded_nodes += anchored.nodes
        self.expanded_characters += anchored.characters
        if self.expanded_nodes > self.limits.expanded_nodes:
            self._exceed(f"aliases repeat more than {self.limits.expanded_nodes} values", start)
        if self.expanded_characters > self.limits.expanded_characters:
            self._exceed(f"aliases repeat more than {self.limits.expanded_characters} characters", start)
        # What an alias repeats counts at the depth where it is repeated: chained anchors would go around the limit.
        if len(self.stack) + anchored.height > self.limits.depth:
            self._exceed(f"values are nested more than {self.limits.depth} deep through an alias", start)
        self._add(
            anchored.value,
            AliasNode(start, event.end_mark.index, anchored.node),
            anchored.nodes,
            anchored.characters,
            anchored.height,
        )

    def _add(self, value: object, node: Node, nodes: int, characters: int, height: int) -> None:
        if not self.stack:
            self.documents.append((value, node))
            return
        parent = self.stack[-1]
        parent.nodes += nodes
        parent.characters += characters
        if height >= parent.height:
            parent.height = height + 1
        container, place = parent.value, parent.node
        if isinstance(container, dict) and isinstance(place, MappingNode):
            assert parent.key is not None
            if parent.key.value == "<<" and self.dialect.merge_keys:
                self._merge(parent, container, place, value, node)
            else:
                container[parent.key.value] = value
                place.entries[parent.key.value] = (parent.key, node)
            parent.key = None
        elif isinstance(container, list) and isinstance(place, SequenceNode):
            container.append(value)
            place.items.append(node)

    def _merge(
        self, parent: _Open, container: dict[str, object], place: MappingNode, value: object, node: Node
    ) -> None:
        """Take over what `<<` names as Psych does, which GitLab reads with: keys below it win, keys above it lose."""
        values: list[object] = [value]
        nodes: list[Node] = [node]
        target: Node = node.target if isinstance(node, AliasNode) else node
        if isinstance(value, list) and isinstance(target, SequenceNode):
            # The first of several wins.
            values, nodes = value[::-1], target.items[::-1]
        for item, item_node in zip(values, nodes, strict=True):
            brought: Node = item_node.target if isinstance(item_node, AliasNode) else item_node
            if not isinstance(item, dict) or not isinstance(brought, MappingNode):
                self.refuse(f"`<<` is given {quoted(item)}, not a mapping", item_node.start, "name a mapping with *")
            parent.merged.update(name for name in item if name not in container)
            container.update(item)
            place.entries.update(brought.entries)

    def _value_of(self, event: Any) -> object:
        tag, text = event.tag, event.value
        if tag is None:
            return self._resolve(text, event) if not event.style else text
        if tag in ("!", _CORE + "str"):
            return text
        wanted = _SCALAR_TAGS.get(tag)
        if wanted is None:
            self.refuse(f"the tag {quoted(tag)} is not known", event.start_mark.index, "remove the tag")
        value = self._resolve(text, event)
        if type(value) not in wanted:
            self.refuse(f"{quoted(text)} does not fit its tag {quoted(tag)}", event.start_mark.index, "remove the tag")
        return float(value) if tag == _CORE + "float" and isinstance(value, int) else value

    def _resolve(self, text: str, event: Any) -> object:
        if text in _NULLS:
            return None
        if text[0] not in "-+.0123456789tTfF":
            return text
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        if len(text) > _MAX_DIGITS:
            return text if _FLOAT.fullmatch(text) is None else self._bad_number(text, event)
        if _INTEGER.fullmatch(text):
            number = int(text)
        elif _BASED_INTEGER.fullmatch(text):
            number = int(text[2:], 8 if text[1] == "o" else 16)
        elif _FLOAT.fullmatch(text):
            fraction = float(text)
            if not math.isfinite(fraction):
                self._bad_number(text, event)
            # `2.0` is the number 2 to JSON (RFC 8785), and written as 2 it is one text to every policy engine.
            return int(fraction) if fraction.is_integer() and abs(fraction) <= _MAX_INTEGER else fraction
        elif _NO_NUMBER.fullmatch(text):
            self._bad_number(text, event)
        else:
            return text
        return number if abs(number) <= _MAX_INTEGER else self._bad_number(text, event)

    def _bad_number(self, text: str, event: Any) -> NoReturn:
        self.refuse(
            f"{quoted(text)} is a number that JSON can't hold exactly", event.start_mark.index, "write it in quotes"
        )

    def _count_node(self, event: Any) -> None:
        self.nodes += 1
        if self.nodes > self.limits.nodes:
            self._exceed(f"the file has more than {self.limits.nodes} values", event.start_mark.index)

    def _translate(self, error: yaml.YAMLError) -> NoReturn:
        problem = str(getattr(error, "problem", None) or error)
        mark = getattr(error, "problem_mark", None)
        index = min(mark.index, len(self.text)) if mark is not None else 0
        fix = "correct the YAML at this place"
        rest = self.text[index:]
        if "cannot start any token" in problem and (rest.lstrip(" ") or " ")[0] == "\t":
            index += len(rest) - len(rest.lstrip(" "))
            problem, fix = "a tab is used to indent", "indent with spaces; YAML does not allow tabs there"
        elif "mapping values are not allowed" in problem:
            fix = "check the indentation, or put a value that holds ': ' in quotes"
        try:
            self.refuse(f"not YAML: {problem}", index, fix)
        except DocumentError as refusal:
            raise refusal from error

    def _where(self, index: int) -> str:
        line_starts = [0, *(match.end() for match in LINE_END.finditer(self.text, 0, index))]
        return f"{self.file}:{len(line_starts)}:{index - line_starts[-1] + 1}"

    def refuse(self, cause: str, index: int, fix: str) -> NoReturn:
        raise DocumentError(cause, where=self._where(index), fix=fix)

    def _exceed(self, cause: str, index: int) -> NoReturn:
        raise InputTooLarge(cause, where=self._where(index), fix="make the file simpler or split it")
