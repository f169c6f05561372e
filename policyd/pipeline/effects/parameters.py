"""What the functions of a script are handed: `$1` holds what the caller's first word held.

A function stands above its calls, so all calls are looked at before what it does is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from policyd.pipeline.effects.values import Values
from policyd.pipeline.shell import ShellCommand

MAX_PARAMETERS = 9  # `$10` is `$1` and a zero
_NAME = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*|[1-9@*])")
_PARAMETER = re.compile(r"\$\{?([1-9@*])")


class Handed(NamedTuple):
    """The parameters of a function that hold an outsider's text or a secret."""

    tainted: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()


NOTHING_HANDED = Handed()


def find_handed(
    commands: Sequence[ShellCommand], tainted: frozenset[str], secrets: frozenset[str]
) -> dict[str, Handed]:
    """Return what is handed to the functions of a script, by their names; none where there are no functions."""
    functions = {command.function for command in commands} - {""}
    handed: dict[str, Handed] = {}
    if not functions:
        return handed
    values = Values(tainted, secrets)
    for command in commands:
        if command.sets:
            values.before(command)
        if command.program in functions and command.reads:
            before = handed.get(command.program, NOTHING_HANDED)
            held = Handed(_positions(command, values.tainted), _positions(command, values.secrets))
            if held != NOTHING_HANDED:
                handed[command.program] = Handed(before.tainted | held.tainted, before.secrets | held.secrets)
        values.after(command)
    return handed


def _positions(command: ShellCommand, names: frozenset[str]) -> frozenset[str]:
    found = {
        str(position)
        for position, word in enumerate(command.argv[1 : MAX_PARAMETERS + 1], start=1)
        if not names.isdisjoint(_NAME.findall(word))
    }
    return frozenset(found | {"@", "*"}) if found else frozenset()


def note_parameters(commands: Sequence[ShellCommand], handed: Mapping[str, Handed]) -> None:
    """Say of commands in functions that are handed something that they read their parameters."""
    for command in commands:
        if command.function not in handed:
            continue
        names = frozenset(_PARAMETER.findall(f"{command.text}\n{command.stdin}"))
        command.reads |= names
        command.expands |= names
        command.sets = [one._replace(reads=one.reads | set(_PARAMETER.findall(one.value))) for one in command.sets]
