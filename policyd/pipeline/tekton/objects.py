"""The objects of a file: one or more documents, lists of objects, and those in a template of a trigger.

Objects of other programs are left alone. Pipelines-as-Code replaces `{{ }}` before it reads YAML, so what stands there
need not be YAML yet: where a file can't be read otherwise, such marks are kept out of the reader's way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from policyd.errors import DocumentError
from policyd.models.base import JsonPath
from policyd.pipeline.source_map import SourceMap, join_documents
from policyd.pipeline.yaml_reader import YamlDialect, YamlDocument, read_yaml_documents_with_places

TEKTON = re.compile(r"(?:triggers\.)?tekton\.dev/")
_RBAC = "rbac.authorization.k8s.io/"
#: Kubernetes' reader takes merge keys; with it, too, a key that stands above one loses to what it brings.
DIALECT = YamlDialect(merge_keys=True)
MAX_LIST_DEPTH = 8  # lists of lists
#: Characters of nobody, which stand for `{{` and `}}` while a file is read. One for one, so places stay.
_OPEN, _CLOSE = "\ue000\ue000", "\ue001\ue001"
_TEMPLATE = re.compile(r"\{\{([^{}\r\n]*)\}\}")


class Part(NamedTuple):
    """A value and where it stands."""

    value: object
    path: JsonPath


@dataclass(frozen=True, slots=True)
class TektonObject:
    """An object of the file. `root` and `spec` are mappings where the object has a shape at all."""

    kind: str
    name: str
    root: Part
    foreign: bool = False  # not Tekton's, but of use: roles, secrets
    in_template: bool = False

    @property
    def spec(self) -> Part:
        """What the object says, `None` inside where it says nothing."""
        value = self.root.value
        return Part(value.get("spec") if isinstance(value, dict) else None, (*self.root.path, "spec"))


def read_documents(path: str, content: bytes, *, templates: bool) -> tuple[object, SourceMap, list[Part]]:
    """Return what a file holds as rules see it, its source map, and its documents.

    One document is the file; several are a list of them. Raises `DocumentError` or `InputTooLarge`.
    """
    documents = _read(path, content, templates=templates)
    if len(documents) == 1:
        value, source_map = documents[0].value, documents[0].source_map
        return value, source_map, [Part(value, ())]
    values = [document.value for document in documents]
    source_map = join_documents(path, [document.source_map for document in documents])
    return values, source_map, [Part(value, (index,)) for index, value in enumerate(values)]


def find_objects(documents: list[Part]) -> Iterator[TektonObject]:
    """Yield the objects of a file that are Tekton's, or say what its runs may do."""
    pending = [(part, 0) for part in reversed(documents)]
    while pending:
        part, depth = pending.pop()
        value = part.value
        if not isinstance(value, dict):
            continue
        version, kind = value.get("apiVersion"), value.get("kind")
        if not isinstance(version, str) or not isinstance(kind, str):
            continue
        if kind == "List" and isinstance(value.get("items"), list) and depth < MAX_LIST_DEPTH:
            items = [Part(item, (*part.path, "items", index)) for index, item in enumerate(value["items"])]
            pending.extend((item, depth + 1) for item in reversed(items))
        elif TEKTON.match(version):
            yield TektonObject(kind, name_of(value), part)
        elif version.startswith(_RBAC) or (version == "v1" and kind == "Secret"):
            yield TektonObject(kind, name_of(value), part, foreign=True)


def name_of(value: object) -> str:
    """Return the name of an object, "" where it has none."""
    metadata = value.get("metadata") if isinstance(value, dict) else None
    if not isinstance(metadata, dict):
        return ""
    name = metadata.get("name") or metadata.get("generateName")
    return name.rstrip("-") if isinstance(name, str) else ""


def _read(path: str, content: bytes, *, templates: bool) -> list[YamlDocument]:
    try:
        return read_yaml_documents_with_places(content, file=path, dialect=DIALECT)
    except DocumentError:
        masked = _masked(content) if templates else None
        if masked is None:
            raise
        try:
            documents = read_yaml_documents_with_places(masked, file=path, dialect=DIALECT)
        except DocumentError:
            documents = []
        if not documents:
            raise
    text = content.decode("utf-8").removeprefix("\ufeff")
    return [YamlDocument(_unmasked(one.value), one.source_map.with_text(text)) for one in documents]


def _masked(content: bytes) -> bytes | None:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if _OPEN[0] in text or _CLOSE[0] in text:
        return None
    masked = _TEMPLATE.sub(lambda found: f"{_OPEN}{found[1]}{_CLOSE}", text)
    return masked.encode() if masked != text else None


def _unmasked(value: object) -> object:
    if isinstance(value, str):
        return value.replace(_OPEN, "{{").replace(_CLOSE, "}}") if _OPEN[0] in value else value
    if isinstance(value, dict):
        return {_unmasked(name): _unmasked(item) for name, item in value.items()}
    return [_unmasked(item) for item in value] if isinstance(value, list) else value
