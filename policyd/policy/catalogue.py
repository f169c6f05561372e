"""The catalogue: what is known *about* each rule, read once from its METADATA.

Rules run on any engine because none needs its annotations at run time; severity, level and dates are weighed in
Python, joined to the engine's answers by package path. Metadata that is missing, doubled or does not fit the package
is an error of the whole policy set: a rule that nobody can weigh must not look like a rule that passed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal, NoReturn, TypeVar

from policyd.errors import PolicyError
from policyd.models.decision import Gate, Level, Severity
from policyd.policy.rule_settings import RuleSetting, read_declarations

MAX_METADATA_BYTES = 8 * 1024  # ten times the longest of the library
MAX_METADATA_DEPTH = 5  # a list that is the default of a setting

DIALECTS = ("policyd", "github", "gitlab", "azure", "tekton")
_SOFT = frozenset({Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM})
_ID = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_CONTROL = re.compile(r"[A-Z][A-Z0-9]*(-[A-Z0-9]+)*(\.[0-9]+)*")
_TOP = frozenset({"title", "description", "custom", "scope"})
_CUSTOM = frozenset(
    {
        "id",
        "severity",
        "gate",
        "level",
        "controls",
        "effective_on",
        "remediation",
        "confidence",
        "applies_to",
        "settings",
    }
)

Confidence = Literal["high", "medium", "low"]


@dataclass(frozen=True, slots=True)
class RuleMeta:
    """What the catalogue says of one rule."""

    id: str
    title: str
    description: str
    severity: Severity
    gate: Gate
    level: Level
    controls: tuple[str, ...]
    remediation: str
    package: str
    path: str
    effective_on: datetime | None = None
    confidence: Confidence = "high"
    applies_to: tuple[str, ...] = DIALECTS
    settings: tuple[RuleSetting, ...] = ()

    @property
    def entrypoint(self) -> str:
        """What an engine is asked for this rule."""
        return f"{self.package}.deny"


class Catalogue(Mapping[str, RuleMeta]):
    """All rules of a policy set by id, in the order of their ids."""

    def __init__(self, rules: Iterable[RuleMeta]) -> None:
        self._rules: dict[str, RuleMeta] = {}
        for rule in sorted(rules, key=lambda rule: (rule.id, rule.path)):
            if rule.id in self._rules:
                raise PolicyError(
                    f"two rules have the id {rule.id!r}",
                    where=f"{self._rules[rule.id].path} and {rule.path}",
                    fix="give each rule an id and a package of its own",
                )
            self._rules[rule.id] = rule

    def __getitem__(self, rule_id: str) -> RuleMeta:
        return self._rules[rule_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rules)

    def __len__(self) -> int:
        return len(self._rules)


def require_known(ids: Iterable[str], catalogue: Catalogue, *, where: str) -> None:
    """Raise `PolicyError` for an id that no rule has: a rule asked for and not there is not a pass."""
    for rule_id in ids:
        if rule_id not in catalogue:
            import difflib

            near = difflib.get_close_matches(rule_id, catalogue, n=1)
            raise PolicyError(
                f"there is no rule {rule_id!r} in this policy set",
                where=where,
                fix=f"did you mean {near[0]!r}?" if near else "remove the id, or add the rule",
            )


def read_rule_meta(path: str, text: str, *, package: str, package_line: int, prefix: str) -> RuleMeta:
    """Return the catalogue entry of the rule module `text`, from the METADATA block before its package clause.

    Raises `PolicyError` naming the file where a field is missing, unknown or does not fit.
    """
    fields = _Fields(path, _read_annotation(path, text, package_line), _TOP)
    custom = fields.custom()

    rule_id = custom.text("id")
    if f"{prefix}.{rule_id}" != package or not _ID.fullmatch(rule_id):
        custom.refuse(
            f"the id {rule_id!r} does not fit the package {package!r}",
            f"a rule `family.rule` is the package `{prefix}.family.rule`",
        )
    severity = custom.choice("severity", Severity)
    level = Level.SOFT if severity in _SOFT else Level.ADVISORY
    controls = custom.texts("controls")
    for control in controls:
        if not _CONTROL.fullmatch(control):
            custom.refuse(f"{control!r} is not the id of a control", "write it like OWASP-CICD-SEC-4 or SLSA-BUILD-L3")
    applies_to = custom.texts("applies_to") if custom.has("applies_to") else DIALECTS
    for dialect in applies_to:
        if dialect not in DIALECTS:
            custom.refuse(f"applies_to names the unknown dialect {dialect!r}", f"use one of {', '.join(DIALECTS)}")
    return RuleMeta(
        id=rule_id,
        title=fields.text("title"),
        description=fields.text("description"),
        severity=severity,
        gate=custom.choice("gate", Gate),
        level=custom.choice("level", Level) if custom.has("level") else level,
        controls=controls,
        remediation=custom.text("remediation"),
        package=package,
        path=path,
        effective_on=custom.date("effective_on") if custom.has("effective_on") else None,
        confidence=_CONFIDENCE[custom.choice("confidence", _Confidence)] if custom.has("confidence") else "high",
        applies_to=applies_to,
        settings=read_declarations(custom.value("settings"), custom.refuse) if custom.has("settings") else (),
    )


class _Confidence(StrEnum):
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


_CONFIDENCE: dict[_Confidence, Confidence] = {
    _Confidence.HIGH: "high",
    _Confidence.MEDIUM: "medium",
    _Confidence.LOW: "low",
}
E_ = TypeVar("E_", bound=StrEnum)


class _Fields:
    """A mapping of the annotation whose every refusal names the file."""

    def __init__(self, path: str, values: object, known: frozenset[str]) -> None:
        self._path = path
        if not isinstance(values, dict):
            self.refuse("the METADATA is not a mapping", "write `# title: …`, one field a line")
        self._values: dict[str, object] = values
        if unknown := sorted(set(self._values) - known):
            self.refuse(f"unknown METADATA field {unknown[0]!r}", f"the fields are {', '.join(sorted(known))}")

    def refuse(self, cause: str, fix: str) -> NoReturn:
        raise PolicyError(cause, where=self._path, fix=fix)

    def has(self, name: str) -> bool:
        return name in self._values

    def value(self, name: str) -> object:
        return self._values[name]

    def custom(self) -> _Fields:
        if "custom" not in self._values:
            self._missing("custom")
        return _Fields(self._path, self._values["custom"], _CUSTOM)

    def text(self, name: str) -> str:
        value = self._values.get(name)
        if not isinstance(value, str) or not value.strip():
            self._missing(name)
        return " ".join(value.split())

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._values.get(name)
        if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
            self.refuse(f"the METADATA field {name!r} is not a list of words", f"write `#   {name}: [A, B]`")
        return tuple(value)

    def choice(self, name: str, choices: type[E_]) -> E_:
        value = self.text(name)
        try:
            return choices(value)
        except ValueError:
            self.refuse(f"{name} is {value!r}", f"use one of {', '.join(choices)}")

    def date(self, name: str) -> datetime:
        value = self.text(name)
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.refuse(f"{name} is {value!r}, not a time", 'write it like "2027-01-01T00:00:00Z"')
        if moment.tzinfo is None:
            self.refuse(f"{name} is {value!r}, without a time zone", 'write it like "2027-01-01T00:00:00Z"')
        return moment.astimezone(UTC)

    def _missing(self, name: str) -> NoReturn:
        self.refuse(f"the METADATA field {name!r} is missing or empty", f"add `# {name}: …` above the package clause")


def _read_annotation(path: str, text: str, package_line: int) -> object:
    lines = text.split("\n")[:package_line]
    starts = [number for number, line in enumerate(lines) if line.rstrip() == "# METADATA"]
    if len(starts) != 1:
        raise PolicyError(
            "the rule has no METADATA" if not starts else "the rule has two METADATA blocks",
            where=path,
            fix="write one `# METADATA` block above the package clause; a helper belongs under `lib`",
        )
    block = []
    for line in lines[starts[0] + 1 :]:
        if not line.startswith("#"):
            break
        block.append(line[1:].removeprefix(" "))
    content = "\n".join(block).encode()
    if len(content) > MAX_METADATA_BYTES:
        raise PolicyError(
            f"the METADATA has more than {MAX_METADATA_BYTES} bytes", where=path, fix="move prose into docs"
        )
    return _read_yaml(path, content)


def _read_yaml(path: str, content: bytes) -> object:
    """Read plain YAML (mappings, lists, text) from parser events: nothing is constructed, aliased or tagged."""
    import yaml

    def refuse(cause: str) -> NoReturn:
        raise PolicyError(f"the METADATA is not plain YAML: {cause}", where=path, fix="write `# name: text`")

    document: list[object] = []
    stack: list[list[object]] = [document]  # a mapping is collected as its keys and values in turn
    try:
        for event in yaml.parse(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if getattr(event, "anchor", None) is not None or getattr(event, "tag", None) is not None:
                refuse("anchors, aliases and tags are not read")
            if isinstance(event, yaml.ScalarEvent):
                stack[-1].append(event.value)
            elif isinstance(event, yaml.CollectionStartEvent):
                if len(stack) > MAX_METADATA_DEPTH:
                    refuse(f"nested deeper than {MAX_METADATA_DEPTH}")
                stack.append([])
            elif isinstance(event, yaml.SequenceEndEvent):
                items = stack.pop()
                stack[-1].append(items)
            elif isinstance(event, yaml.MappingEndEvent):
                items = stack.pop()
                keys = items[::2]
                if not all(isinstance(key, str) for key in keys) or len(set(map(str, keys))) != len(keys):
                    refuse("a key is there twice or is not text")
                stack[-1].append(dict(zip(keys, items[1::2], strict=True)))
    except yaml.YAMLError as error:
        raise PolicyError(
            f"the METADATA is not YAML: {' '.join(str(error).split())}", where=path, fix="write `# name: text`"
        ) from error
    if len(document) != 1:
        refuse("it is not one document")
    return document[0]
