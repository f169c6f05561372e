"""A GitLab configuration put together as GitLab does: includes, then `extends`, then `!reference`.

What lies in other projects, behind URLs or in GitLab itself can't be read here; then the configuration is `open`:
names that are missing may be there, and nothing is refused for it. `include: local` with a wildcard would need a
listing, so it is open too; the files it names are judged by themselves.

Sources: docs.gitlab.com "Use CI/CD configuration from other files", "CI/CD YAML syntax reference", "YAML optimization".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from policyd.errors import DocumentError, InputTooLarge
from policyd.models.base import JsonPath
from policyd.pipeline.characters import quoted
from policyd.pipeline.front_end import Included
from policyd.pipeline.gitlab.inputs import given_input, interpolate, is_constrained, whole_input
from policyd.pipeline.gitlab.parts import UNKNOWN, Input, Part, SourceFile, entries_of, items_of, merge
from policyd.pipeline.shapes import Shapes
from policyd.pipeline.source_map import SourceMap
from policyd.pipeline.yaml_reader import TaggedList, YamlDialect, YamlDocument, read_yaml_documents_with_places

DIALECT = YamlDialect(merge_keys=True, list_tags=frozenset(("!reference",)))
MAX_INCLUDES = 150  # as GitLab; also ends circles
MAX_INCLUDED_BYTES = 10 * 1024 * 1024  # of all files together
MAX_KEPT_BYTES = 256 * 1024  # of a file that is kept parsed
MAX_EXTENDS = 11  # as GitLab
MAX_REFERENCES = 10  # as GitLab: a reference that leads to a reference
MAX_RESOLVED = 20_000  # of references; each may bring a list that holds more
MAX_MERGED = 500_000  # entries copied by `include` and `extends`; real files stay below 20,000

_INCLUDE_KINDS = ("local", "remote", "project", "template", "component", "artifact")
#: Top-level keys that are no jobs.
KEYWORDS = frozenset(
    (
        "after_script",
        "before_script",
        "cache",
        "default",
        "image",
        "include",
        "services",
        "spec",
        "stages",
        "types",
        "variables",
        "workflow",
    )
)


@dataclass(frozen=True, slots=True)
class Include:
    """One entry of `include`, or of `trigger: include`, with its fields by name."""

    kind: str  # local, remote, project, template, component; artifact for a child pipeline
    part: Part
    fields: Mapping[str, Part]


@dataclass(slots=True)
class Configuration(Shapes[Part]):
    """What GitLab makes of a file: `root` by name, jobs extended. Read with `read_configuration`."""

    path: str
    strict: bool
    included: Included
    main: SourceFile = field(init=False)
    document: object = None
    root: dict[str, Part] = field(default_factory=dict)
    includes: list[Include] = field(default_factory=list)
    headers: list[Part] = field(default_factory=list)  # `spec` of the file judged
    missing: list[str] = field(default_factory=list)
    open: bool = False
    extended: set[str] = field(default_factory=set)  # names that something extends
    _including: list[str] = field(default_factory=list)
    _count: int = 0
    _bytes: int = 0
    _merged: int = 0
    _resolved: int = 0
    _extended: dict[str, Part] = field(default_factory=dict)

    # Shapes. Each takes a part as it is written and returns what stands for it.

    system = "GitLab"

    def locate(self, at: Part) -> tuple[SourceMap, JsonPath]:
        """Return where a part is written."""
        return at.file.map, at.path

    def resolve(self, part: Part) -> Part:
        """Return what a `!reference` or a whole input stands for; other parts are themselves."""
        for _ in range(MAX_REFERENCES):
            value = part.value
            if part.entries is not None:
                return part
            if isinstance(value, TaggedList):
                part = self._look_up(part, value)
            elif isinstance(value, str) and value.startswith("$[["):
                whole = whole_input(value, part.file.inputs)
                if whole is None:
                    return part
                part = whole
            else:
                return part
        self.refuse(f"a `!reference` leads through more than {MAX_REFERENCES} others, or in a circle", part)

    def _look_up(self, part: Part, names: Sequence[object]) -> Part:
        self._resolved += 1
        if self._resolved > MAX_RESOLVED:
            raise InputTooLarge(
                f"the pipeline resolves more than {MAX_RESOLVED} references",
                where=part.where(),
                fix="split the pipeline",
            )
        if not names or not all(isinstance(name, str) for name in names):
            self.refuse("`!reference` takes a list of names", part)
        found = Part(None, (), self.main, self.root)
        for depth, name in enumerate(names):
            found = found if depth == 0 else self.resolve(found)
            below = entries_of(found).get(str(name))
            if below is None:
                if self.open or found.value is UNKNOWN:
                    return Part(UNKNOWN, part.path, part.file)
                self.refuse(f"`!reference` names {quoted('.'.join(map(str, names)))}, which is not there", part)
            found = self.job(str(name)) if depth == 0 and str(name) not in KEYWORDS else below
        return found

    def mapping(self, part: Part | None, what: str) -> dict[str, Part]:
        """Return the entries of a mapping; nothing at all, and what is not known, is an empty one."""
        if part is None:
            return {}
        part = self.resolve(part)
        if part.is_mapping:
            return entries_of(part)
        if part.value is None or self._is_open(part):
            return {}
        self.refuse_shape(part.value, part, what, "mapping")

    def sequence(self, part: Part | None, what: str) -> list[Part]:
        """Return the items of a list, those of lists inside it included: `!reference` puts lists into lists."""
        return list(self._flatten(part, what, 0)) if part is not None else []

    def _flatten(self, part: Part, what: str, depth: int) -> Iterator[Part]:
        part = self.resolve(part)
        if isinstance(part.value, list) and part.entries is None:
            if depth > MAX_REFERENCES:
                self.refuse(f"{what} has lists nested more than {MAX_REFERENCES} deep", part)
            for item in items_of(part):
                if isinstance(item.value, list | str):
                    item = self.resolve(item)
                if isinstance(item.value, list) and item.entries is None:
                    yield from self._flatten(item, what, depth + 1)
                elif item.value is not UNKNOWN:
                    yield item
        elif part.value is not None and not self._is_open(part):
            self.refuse_shape(part.value, part, what, "list")

    def items(self, part: Part | None, what: str) -> list[Part]:
        """Return the items of a list, or the one scalar or mapping that may stand in its place."""
        if part is None:
            return []
        part = self.resolve(part)
        if part.value is None and part.entries is None:
            return []
        if isinstance(part.value, list) and part.entries is None:
            return self.sequence(part, what)
        return [] if part.value is UNKNOWN else [part]

    def text(self, part: Part | None, what: str) -> str:
        """Return a scalar as its characters, with the inputs that are known; nothing at all is an empty text."""
        if part is None:
            return ""
        return self.known(self.resolve(part), what)

    def known(self, part: Part, what: str) -> str:
        """Return a scalar's characters with the inputs that are known; `part` is resolved."""
        text = self.raw(part, what)
        return interpolate(text, part.file.inputs, part.where()) if "$[[" in text else text

    def raw(self, part: Part, what: str) -> str:
        """Return a scalar's characters as written, so that offsets in it hold; `part` is resolved."""
        value = part.value
        if isinstance(value, str):
            return value
        if (value is None and part.entries is None) or value is UNKNOWN:
            return ""
        if part.is_mapping or isinstance(value, list):
            self.refuse_shape(value, part, what, "text")
        return part.file.map.scalar_text(part.path) or ""

    @staticmethod
    def _is_open(part: Part) -> bool:
        return part.value is UNKNOWN or (isinstance(part.value, str) and "$[[" in part.value)

    # Putting together.

    def job(self, name: str) -> Part:
        """Return a job, or anything else at the top, with what it extends."""
        return self._extend(name, self.root[name], ())

    def _extend(self, name: str, part: Part, ancestors: tuple[str, ...]) -> Part:
        done = self._extended.get(name)
        if done is not None:
            return done
        extends = entries_of(part).get("extends") if part.is_mapping else None
        if extends is None:
            self._extended[name] = part
            return part
        if name in ancestors:
            self.refuse(f"{quoted(name)} extends itself, by way of {quoted(ancestors[-1])}", extends)
        if len(ancestors) >= MAX_EXTENDS:
            self.refuse(f"`extends` goes through more than {MAX_EXTENDS} others", extends)
        whole: Part | None = None
        for item in self.items(extends, "`extends`"):
            base_name = self.known(item, "`extends`")
            self.extended.add(base_name)
            base = self.root.get(base_name)
            if base is None:
                if self.open or "$[[" in base_name:
                    continue
                self.refuse(f"`extends` names {quoted(base_name)}, which is not there", item)
            if not base.is_mapping:
                self.refuse(f"`extends` names {quoted(base_name)}, which is not a mapping", item)
            base = self._extend(base_name, base, (*ancestors, name))
            whole = base if whole is None else self._merge(whole, base)
        done = part if whole is None else self._merge(whole, part)
        self._extended[name] = done
        return done

    def _merge(self, base: Part, over: Part) -> Part:
        merged, count = merge(base, over)
        self._merged += count
        if self._merged > MAX_MERGED:
            raise InputTooLarge(
                f"`extends` and `include` copy more than {MAX_MERGED} entries",
                where=over.where(),
                fix="split the pipeline",
            )
        return merged

    def add(self, content: bytes, path: str, given: Mapping[str, Part] | None) -> Part:
        """Return the root of a file with what it includes; `given` are inputs from an including file."""
        documents = _read(path, content)
        header, body = self._documents(documents, path)
        if header is None and body is None:
            raise DocumentError("the file is empty", where=f"{path}:1:1", fix="write the document, or remove the file")
        inputs: dict[str, Input] = {}
        judged = given is None
        if header is not None:
            spec = SourceFile(header.source_map, header.source_map)
            top = Part(header.value, (), spec)
            inputs = self._inputs(top, given)
            if judged:
                self.headers.append(top)
        if body is None:
            assert header is not None
            if judged:
                self.main, self.document = SourceFile(header.source_map), header.value
            return Part({}, (), SourceFile(header.source_map, None if judged else header.source_map))
        file = SourceFile(body.source_map, None if judged else body.source_map, inputs, included=not judged)
        root = Part(body.value, (), file)
        if judged:
            self.main, self.document = file, body.value
        if not isinstance(body.value, dict):
            self.refuse_shape(body.value, root, "a configuration", "mapping")
        whole: Part | None = None
        for part in self._include(entries_of(root).get("include"), path):
            whole = part if whole is None else self._merge(whole, part)
        return root if whole is None else self._merge(whole, root)

    def _documents(
        self, documents: Sequence[YamlDocument], path: str
    ) -> tuple[YamlDocument | None, YamlDocument | None]:
        """Return header and body: a first document with `spec` and no jobs is a header."""
        if len(documents) > 2:
            where = documents[2].source_map.where(())
            raise DocumentError(
                "a configuration has a header and a body; this one has a third document",
                where=where,
                fix="keep `spec` in the first document and all jobs in the second",
            )
        if not documents:
            return None, None
        first = documents[0]
        is_header = isinstance(first.value, dict) and "spec" in first.value
        if len(documents) == 2:
            if not is_header:
                raise DocumentError(
                    "the first of two documents is a header, and this one has no `spec`",
                    where=first.source_map.where(()),
                    fix="keep all jobs in one document",
                )
            return first, documents[1]
        if is_header and isinstance(first.value, dict) and len(first.value) == 1:
            return first, None
        return None, first

    def _inputs(self, header: Part, given: Mapping[str, Part] | None) -> dict[str, Input]:
        spec = self.mapping(entries_of(header).get("spec"), "`spec`")
        found: dict[str, Input] = {}
        for name, part in self.mapping(spec.get("inputs"), "`spec: inputs`").items():
            fields = self.mapping(part, f"the input {quoted(name)}")
            constrained = is_constrained({key: field.value for key, field in fields.items()})
            if given is not None and name in given:
                value = self.resolve(given[name])
                found[name] = given_input(name, value, self._scalar(value), constrained=constrained)
                continue
            default = fields.get("default")
            text = None if default is None else self._scalar(default)
            found[name] = Input(name, constrained, default, text, untrusted=given is None)
        return found

    def _scalar(self, part: Part) -> str:
        """Return an input's value as characters; a list is left as it is."""
        return "" if part.is_mapping or isinstance(part.value, list) else self.known(part, "an input")

    def _include(self, part: Part | None, base: str) -> Iterator[Part]:
        for include in self.read_includes(part, "`include`"):
            self.includes.append(include)
            self._count += 1
            if self._count > MAX_INCLUDES:
                self.refuse(f"more than {MAX_INCLUDES} files are included, or a file includes itself", include.part)
            if include.kind != "local":
                self.open = True
                continue
            name = self.text(include.fields["local"], "`local`").lstrip("/")
            content = self._find(name, base)
            if content is None:
                self.open = True
                continue
            if content[0] in self._including:
                self.refuse(f"{quoted(content[0])} includes itself, directly or not", include.part)
            self._bytes += len(content[1])
            if self._bytes > MAX_INCLUDED_BYTES:
                raise InputTooLarge(
                    f"the files included have more than {MAX_INCLUDED_BYTES} bytes together",
                    where=include.part.where(),
                    fix="include less",
                )
            given = self.mapping(include.fields.get("inputs"), "`inputs`")
            self._including.append(content[0])
            yield self.add(content[1], content[0], given)
            self._including.pop()

    def _find(self, name: str, base: str) -> tuple[str, bytes] | None:
        """Return path and content of a local file; what is not there yet is noted as missing.

        Paths count from the top of the project, which is not the repository's in a folder of samples.
        """
        if not name or "$" in name or "*" in name:
            return None
        for candidate in dict.fromkeys((project_folder(base) + name, name)):
            if candidate not in self.included:
                self.missing.append(candidate)
                return None
            content = self.included[candidate]
            if content is not None:
                return candidate, content
        return None

    def read_includes(self, part: Part | None, what: str) -> Iterator[Include]:
        """Yield the entries of an `include`, whichever of its shapes it has."""
        for item in self.items(part, what):
            if not item.is_mapping:
                text = self.known(item, what)
                kind = "remote" if text.startswith(("http://", "https://")) else "local"
                yield Include(kind, item, {kind: item})
                continue
            fields = entries_of(item)
            kinds = [kind for kind in _INCLUDE_KINDS if kind in fields]
            if not kinds:
                self.refuse(f"an entry of {what} names nothing to include", item)
            yield Include(kinds[0], item, fields)


def _read(path: str, content: bytes) -> Sequence[YamlDocument]:
    return _read_kept(path, content) if len(content) <= MAX_KEPT_BYTES else _read_now(path, content)


def _read_now(path: str, content: bytes) -> Sequence[YamlDocument]:
    return tuple(read_yaml_documents_with_places(content, file=path, dialect=DIALECT))


#: A file is read again each time a file that it includes has been fetched.
_read_kept = lru_cache(maxsize=16)(_read_now)


def read_configuration(path: str, content: bytes, included: Included, *, strict: bool) -> Configuration:
    """Return the configuration in `content` with the files it includes.

    Raises `DocumentError` or `InputTooLarge` where it is none, also for an included file, with the place there.
    """
    # A file that others include extends what lies in them.
    configuration = Configuration(path, strict, included, open=not strict)
    configuration.root = entries_of(configuration.add(content, path, None))
    return configuration


def project_folder(path: str) -> str:
    """Return the folder that a GitLab project's paths count from, "" or ending in `/`, going by where `path` lies."""
    parts = path.split("/")
    for index, part in enumerate(parts):
        if part == ".gitlab" or (part == "templates" and index):
            return "".join(f"{above}/" for above in parts[:index])
    return "".join(f"{above}/" for above in parts[:-1]) if parts[-1] == ".gitlab-ci.yml" else ""
