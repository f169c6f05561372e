"""What can be set about a rule: declared in its METADATA, so that a wrong value is an error and not a silent default.

A setting has a type, a default and a direction that is tighter. The direction is what lets a lower layer of policy set
it at all: a team may shorten what the organisation allows, never lengthen it (policyd.policy.layers).

    # custom:
    #   settings:
    #     max_minutes:
    #       type: integer
    #       default: 60
    #       tighter: lower
    #       description: The longest time limit.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn, TypeVar, assert_never

#: What a setting may hold. Lists of text are sets: sorted, each member once.
Value = bool | int | str | tuple[str, ...]

MAX_INTEGER = 10**15 - 1  # beyond 15 digits the engines spell numbers differently (docs/rego.md)
MAX_TEXT = 500
MAX_MEMBERS = 1000
MAX_SETTINGS = 20  # of one rule; more would be a program of its own

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_FIELDS = frozenset({"type", "default", "tighter", "description", "choices"})

E = TypeVar("E", bound=StrEnum)

#: Reports what is wrong with a declaration (cause, fix), naming the rule's file.
Refuse = Callable[[str, str], NoReturn]


class SettingType(StrEnum):
    """What kind of value a setting holds."""

    INTEGER = "integer"
    BOOLEAN = "boolean"
    STRING = "string"
    STRINGS = "strings"


class Tighter(StrEnum):
    """Which change of a value makes the rule deny more. `NONE`: only whoever owns the rule may set it."""

    LOWER = "lower"
    HIGHER = "higher"
    TRUE = "true"
    FALSE = "false"
    SUBSET = "subset"
    SUPERSET = "superset"
    NONE = "none"


_DIRECTIONS = {
    SettingType.INTEGER: (Tighter.LOWER, Tighter.HIGHER, Tighter.NONE),
    SettingType.BOOLEAN: (Tighter.TRUE, Tighter.FALSE, Tighter.NONE),
    SettingType.STRING: (Tighter.NONE,),
    SettingType.STRINGS: (Tighter.SUBSET, Tighter.SUPERSET, Tighter.NONE),
}


class MisfitError(ValueError):
    """A value that does not fit its setting; the text says what would."""


@dataclass(frozen=True, slots=True)
class RuleSetting:
    """One setting of a rule, as its METADATA declares it."""

    name: str
    type: SettingType
    default: Value
    tighter: Tighter
    description: str
    choices: tuple[str, ...] = ()  # the only texts there are; empty for any

    def read(self, value: object) -> Value:
        """Return `value`, as read from JSON, if it fits; raises `MisfitError`."""
        match self.type:
            case SettingType.BOOLEAN:
                if not isinstance(value, bool):
                    raise MisfitError(f"{_quoted(value)} is neither true nor false")
                return value
            case SettingType.INTEGER:
                # True is an int in Python and no number in JSON.
                if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_INTEGER:
                    raise MisfitError(f"{_quoted(value)} is not a whole number from 0 to {MAX_INTEGER}")
                return value
            case SettingType.STRING:
                return self._text(value)
            case SettingType.STRINGS:
                if not isinstance(value, list | tuple) or len(value) > MAX_MEMBERS:
                    raise MisfitError(f"{_quoted(value)} is not a list of at most {MAX_MEMBERS} texts")
                return tuple(sorted({self._text(member) for member in value}))
            case unreachable:
                assert_never(unreachable)

    def is_as_tight(self, value: Value, bound: Value) -> bool:
        """Say whether `value` allows nothing that `bound` doesn't. Both fit this setting."""
        match self.tighter:
            case Tighter.LOWER:
                return _number(value) <= _number(bound)
            case Tighter.HIGHER:
                return _number(value) >= _number(bound)
            case Tighter.TRUE:
                return value is True or bound is False
            case Tighter.FALSE:
                return value is False or bound is True
            case Tighter.SUBSET:
                return _members(value) <= _members(bound)
            case Tighter.SUPERSET:
                return _members(value) >= _members(bound)
            case Tighter.NONE:
                return value == bound
            case unreachable:
                assert_never(unreachable)

    def tightest(self, one: Value, other: Value) -> Value:
        """Return the value that allows only what both allow: where two peers each tighten what stands above them."""
        match self.tighter:
            case Tighter.SUBSET:
                return tuple(sorted(_members(one) & _members(other)))
            case Tighter.SUPERSET:
                return tuple(sorted(_members(one) | _members(other)))
            case _:
                return one if self.is_as_tight(one, other) else other

    def _text(self, value: object) -> str:
        if not isinstance(value, str) or not value or len(value) > MAX_TEXT or not value.isprintable():
            raise MisfitError(f"{_quoted(value)} is not a text of 1 to {MAX_TEXT} characters")
        if self.choices and value not in self.choices:
            raise MisfitError(f"{_quoted(value)} is not one of {', '.join(self.choices)}")
        return value


def read_declarations(values: object, refuse: Refuse) -> tuple[RuleSetting, ...]:
    """Return the settings that the METADATA field `settings` declares, by name; `refuse` says what is wrong."""
    if not isinstance(values, dict) or not values:
        refuse("`settings` is not a mapping of names", "write `settings:` and below it one name a line, or take it out")
    if len(values) > MAX_SETTINGS:
        refuse(f"the rule has more than {MAX_SETTINGS} settings", "make several rules of it")
    return tuple(_read_declaration(name, fields, refuse) for name, fields in sorted(values.items()))


def _read_declaration(name: str, fields: object, refuse: Refuse) -> RuleSetting:
    if not _NAME.fullmatch(name):
        refuse(f"{name!r} can't be the name of a setting", "use lower case letters, digits and _, a letter first")
    if not isinstance(fields, dict) or not fields.keys() <= _FIELDS or not fields.keys() >= _FIELDS - {"choices"}:
        refuse(
            f"the setting {name!r} lacks a field or has an unknown one",
            "give it type, default, tighter and description, and choices where only some texts are possible",
        )
    kind = _choice(name, "type", fields["type"], tuple(SettingType), refuse)
    tighter = _choice(name, "tighter", fields["tighter"], _DIRECTIONS[kind], refuse)
    description = fields["description"]
    if not isinstance(description, str) or not description.strip():
        refuse(f"the setting {name!r} has no description", "say what it means, and in which unit")
    choices = fields.get("choices", [])
    if not isinstance(choices, list) or not all(isinstance(choice, str) and choice for choice in choices):
        refuse(f"the choices of the setting {name!r} are no list of texts", "write `choices: [a, b]`")
    if choices and kind not in (SettingType.STRING, SettingType.STRINGS):
        refuse(f"the setting {name!r} is no text and has choices", "take them out")
    declared = RuleSetting(
        name=name,
        type=kind,
        default="",
        tighter=tighter,
        description=" ".join(description.split()),
        choices=tuple(choices),
    )
    try:
        default = declared.read(_typed(kind, fields["default"]))
    except MisfitError as error:
        refuse(f"the default of the setting {name!r} does not fit: {error}", f"write a default of type {kind.value}")
    return RuleSetting(name, kind, default, tighter, declared.description, declared.choices)


def _choice(name: str, field: str, value: object, choices: tuple[E, ...], refuse: Refuse) -> E:
    for choice in choices:
        if value == choice.value:
            return choice
    refuse(f"{field} of the setting {name!r} is {value!r}", f"use one of {', '.join(choices)}")


def _typed(kind: SettingType, value: object) -> object:
    """Return a scalar of METADATA, which is read as text, as what it is meant to be."""
    if kind is SettingType.BOOLEAN and value in ("true", "false"):
        return value == "true"
    if kind is SettingType.INTEGER and isinstance(value, str) and re.fullmatch(r"0|[1-9][0-9]{0,15}", value):
        return int(value)
    return value


def as_json(value: Value) -> bool | int | str | list[str]:
    """Return a value as JSON has it."""
    return list(value) if isinstance(value, tuple) else value


def _number(value: Value) -> int:
    assert isinstance(value, int)
    return value


def _members(value: Value) -> frozenset[str]:
    assert isinstance(value, tuple)
    return frozenset(value)


def _quoted(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
