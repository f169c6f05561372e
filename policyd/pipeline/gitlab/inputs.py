"""Inputs of a file (`spec: inputs`) and the marks that GitLab replaces by them before anything else: `$[[ ... ]]`.

The replacement is textual, so in a script an input is code. What an input may be is limited by its type, `options` or
`regex`; without one of these whoever sets it writes script. `${{ job.inputs.name }}` is the runner's own mark.

Sources: docs.gitlab.com "CI/CD inputs", "CI/CD YAML syntax reference" (`spec`), "CI/CD expressions".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from policyd.errors import InputTooLarge
from policyd.pipeline.gitlab.parts import Input, Part
from policyd.pipeline.gitlab.trust import INCLUDE_UNTRUSTED, variables_in

MAX_MARK_CHARACTERS = 500  # a name and three functions
MAX_RESULT_CHARACTERS = 1024 * 1024  # GitLab's bound on a text with inputs
MAX_INPUT_CHARACTERS = 1024  # of one input, as GitLab
_SAFE_TYPES = ("number", "boolean")
_OPENINGS = re.compile(r"\$(?:\[\[|\{\{)")


class Mark(NamedTuple):
    """One mark in a text: what it names (`inputs.tag`), and whether an outsider or anyone unnamed chooses the text.

    `open` says that it is whoever starts or includes the file, and no outsider that the file shows.
    """

    start: int
    end: int
    context: str
    functions: tuple[str, ...]
    untrusted: bool
    open: bool = False


def find_marks(text: str, inputs: Mapping[str, Input], job_inputs: Mapping[str, Input] | None = None) -> list[Mark]:
    """Return the marks of `text` in order; those of an input that the file does not declare count as untrusted."""
    found: list[Mark] = []
    position = 0
    while (opening := _OPENINGS.search(text, position)) is not None:
        start = opening.start()
        closing = "]]" if text[start + 1] == "[" else "}}"
        end = text.find(closing, start + 3, start + 3 + MAX_MARK_CHARACTERS)
        if end < 0:
            position = start + 3
            continue
        position = end + 2
        access, *functions = (word.strip() for word in text[start + 3 : end].split("|"))
        names = tuple(function.partition("(")[0].strip() for function in functions)
        scope, _, name = access.rpartition("inputs.")
        if closing == "}}" and scope != "job.":
            continue  # a mark of some other program in a script
        known = (inputs if closing == "]]" else job_inputs or {}).get(name.partition("[")[0])
        untrusted = bool(name) and scope in ("", "job.") and _is_untrusted(known, names)
        is_open = untrusted and not (known is not None and known.expands_untrusted and "expand_vars" in names)
        found.append(Mark(start, position, access, names, untrusted, is_open))
    return found


def _is_untrusted(known: Input | None, functions: tuple[str, ...]) -> bool:
    if known is None:
        return True
    if known.constrained:
        return False
    return known.untrusted or (known.expands_untrusted and "expand_vars" in functions)


def given_input(name: str, value: Part, text: str, *, constrained: bool) -> Input:
    """Return an input with the value that an including file gives, whose own inputs are in `text` already."""
    raw = value.value if isinstance(value.value, str) else ""
    untrusted = any(mark.untrusted for mark in find_marks(raw, value.file.inputs)) if "$[[" in raw else False
    expands = not INCLUDE_UNTRUSTED.isdisjoint(variables_in(text))
    return Input(name, constrained, value, text, untrusted=untrusted, expands_untrusted=expands)


def interpolate(text: str, inputs: Mapping[str, Input], where: str) -> str:
    """Return `text` with the inputs whose value the files say; other marks stay.

    Raises `InputTooLarge` where the result is longer than GitLab allows.
    """
    if "$[[" not in text:
        return text
    pieces: list[str] = []
    position = length = 0
    for mark in find_marks(text, inputs):
        known = inputs.get(mark.context.removeprefix("inputs.")) if mark.context.startswith("inputs.") else None
        if known is None or known.text is None or len(known.text) > MAX_INPUT_CHARACTERS:
            continue
        pieces += (text[position : mark.start], known.text)
        length += mark.start - position + len(known.text)
        if length > MAX_RESULT_CHARACTERS:
            raise InputTooLarge(
                f"a text has more than {MAX_RESULT_CHARACTERS} characters with its inputs",
                where=where,
                fix="shorten the inputs; GitLab would refuse it too",
            )
        position = mark.end
    return "".join((*pieces, text[position:]))


def whole_input(text: str, inputs: Mapping[str, Input]) -> Part | None:
    """Return the list or mapping that stands for `text` where the whole of it is one input of that kind."""
    if not text.startswith("$[["):
        return None
    marks = find_marks(text, inputs)
    if len(marks) != 1 or (marks[0].start, marks[0].end) != (0, len(text)):
        return None
    known = inputs.get(marks[0].context.removeprefix("inputs."))
    value = known.value if known is not None else None
    return value if value is not None and isinstance(value.value, dict | list) else None


def is_constrained(given: Mapping[str, object]) -> bool:
    """Say whether type, `options` or `regex` of an input limit what it can be."""
    if given.get("type") in _SAFE_TYPES or given.get("options"):
        return True
    if isinstance(given.get("regex"), str):
        return True
    rules = given.get("rules")
    return isinstance(rules, list) and bool(rules) and all(isinstance(r, dict) and r.get("options") for r in rules)
