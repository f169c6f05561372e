"""What a script hands to later steps: outputs and variables, with the text each is made of.

Read from the text, line by line, and not from the commands: `echo "x=$(a | b)" >> "$GITHUB_OUTPUT"`, a group in braces
that is redirected as a whole, a here-document and `::set-output` all say it in a line of their own. What a program
writes to the file by itself has no name here and is called `*`.

Source: docs.github.com "Workflow commands for GitHub Actions" (environment files, set-output, set-env).
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Literal, NamedTuple

from policyd.pipeline.effects.values import is_random

Target = Literal["output", "environment", "local"]


_MAX_LINE = 4_000  # of a line looked at; keeps the search linear
_MAX_TEXT = 20_000  # of a here-document
_MAX_FOUND = 500  # names of one script


class Written(NamedTuple):
    """A value given to a name: characters `start` to `end` of the script are what it is made of."""

    target: Target
    name: str
    start: int
    end: int
    enclosed: bool = False  # between two lines that nobody can foresee


_MENTIONS = re.compile(r"GITHUB_(OUTPUT|ENV)\b|::set-(output|env)")
_NAME = r"[A-Za-z_][A-Za-z0-9_.-]*"
#: `echo "name=value"`, `printf 'name=%s' x`, `"name=value" >> $env:GITHUB_OUTPUT`, `print(f"name={x}")`
_PAIR = re.compile(
    r"""(?:(?:\b(?:echo|printf|print|Write-Output|write)\b[ \t(]*(?:-[neE]+[ \t]+)*)|^[ \t]*(?=["']))"""
    rf"""[fF]?["']?({_NAME})=(?!=)""",
    re.MULTILINE,
)
_COMMAND = re.compile(rf"::set-(output|env)[ \t]+name=({_NAME})::")
_HEREDOC = re.compile(rf"""({_NAME})<<(-?)["']?([$A-Za-z_{{}}0-9()-]+)""")
_ASSIGNMENT = re.compile(
    r"(?:^|[;&|{(]|\bthen\b|\bdo\b)[ \t]*(?:(?:export|local|readonly|declare|typeset)(?:[ \t]+-\w+)*[ \t]+)?"
    r"(?:\$(?:env:)?)?([A-Za-z_][A-Za-z0-9_]*)[ \t]?(?<![ \t])\+?=[ \t]*(?!=)",
    re.MULTILINE,
)
#: `read -r a b <<< "$X"`, `for a in $X`: the names, and what they are set to.
_TAKEN = re.compile(
    rf"\bread(?:[ \t]+-[A-Za-z]+)*((?:[ \t]+{_NAME}){{1,9}})[ \t]*<<<[ \t]*([^\n]+)"
    rf"|\bfor[ \t]+({_NAME})[ \t]+in[ \t]+([^;\n]+)"
)
_TO_FILE = re.compile(
    r"^(.{0,500}?)(?:>>?|\btee[ \t]+-a|\bOut-File\b[^$\n]{0,80}|\bAdd-Content\b[^$\n]{0,80})[ \t]*"
    r"[\"']?\$(?:env:)?\{?GITHUB_(OUTPUT|ENV)\b",
    re.MULTILINE,
)
_JAVASCRIPT = re.compile(
    rf"""core\.(setOutput|exportVariable)\([ \t\r\n]*["'`]({_NAME})["'`][ \t\r\n]*,[ \t\r\n]*"""
    r"""((?:[^()]|\([^()]{0,200}\)){0,300})\)"""
)
_BRACKET = re.compile(r"[()]")
_RETURN = re.compile(r"^[ \t]*return[ \t(]+([^\r\n]+)", re.MULTILINE)


def find_written(script: str) -> list[Written]:
    """Return what a shell script hands on and the variables it sets itself, in the order of the text."""
    found = [
        Written("local", one[1], one.end(), _value_end(script, one.end()))
        for one in islice(_ASSIGNMENT.finditer(script), _MAX_FOUND)
    ]
    for one in islice(_TAKEN.finditer(script), _MAX_FOUND) if "<<<" in script or "for " in script else ():
        group = 2 if one[1] else 4
        found += [Written("local", name, *one.span(group)) for name in (one[1] or one[3]).split()]
    found.sort(key=lambda one: one.start)
    mentioned = {(one[1] or one[2]).lower() for one in _MENTIONS.finditer(script)}
    if mentioned:
        found += _handed_on(script, mentioned)
        found.sort(key=lambda one: one.start)
    return found[:_MAX_FOUND]


def find_written_by_javascript(script: str) -> list[Written]:
    """Return what the code of `actions/github-script` hands on; what it returns is the output `result`."""
    found = [
        Written("output" if one[1] == "setOutput" else "environment", one[2], one.start(3), one.end(3))
        for one in islice(_JAVASCRIPT.finditer(script), _MAX_FOUND)
    ]
    found += [Written("output", "result", one.start(1), one.end(1)) for one in islice(_RETURN.finditer(script), 20)]
    return found[:_MAX_FOUND]


def _handed_on(script: str, mentioned: set[str]) -> list[Written]:
    targets: list[Target] = ["output"] if "output" in mentioned else []
    targets += ["environment"] if "env" in mentioned else []
    found: list[Written] = []
    named: set[int] = set()  # lines whose names are known
    enclosed: list[tuple[int, int]] = []
    for one in islice(_COMMAND.finditer(script), _MAX_FOUND):
        target: Target = "output" if one[1] == "output" else "environment"
        found.append(Written(target, one[2], one.end(), _line_end(script, one.end())))
    for one in islice(_PAIR.finditer(script), _MAX_FOUND):
        end = _line_end(script, one.end())
        named.add(_line_start(script, one.start(1)))
        found += [Written(to, one[1], one.end(), end) for to in _targets(script[one.end() : end], targets)]
    for one in islice(_HEREDOC.finditer(script), _MAX_FOUND):
        begin = _line_end(script, one.end())
        limit = min(len(script), begin + _MAX_TEXT)
        close = script.find(one[3], begin, limit)
        end = limit if close < 0 else _line_start(script, close)
        named.add(_line_start(script, one.start(1)))
        safe = _is_unforeseen(one[3], script[max(0, one.start() - _MAX_TEXT) : one.start()])
        if safe:
            enclosed.append((begin, end))
        found += [Written(to, one[1], begin, end, safe) for to in targets]
    for one in islice(_TO_FILE.finditer(script), _MAX_FOUND):
        if one.start() not in named and "=" not in one[1].partition("$")[0]:
            safe = any(begin <= one.start(1) < end for begin, end in enclosed)
            target = "output" if one[2] == "OUTPUT" else "environment"
            found.append(Written(target, "*", one.start(1), one.end(1), safe))
    return found


def _is_unforeseen(delimiter: str, script: str) -> bool:
    """Say whether a delimiter is a variable that `script`, the text before it, sets to something random."""
    name = delimiter.strip("${}")
    if name == delimiter:
        return False
    return any(is_random(one[1]) for one in re.finditer(rf"\b{re.escape(name)}=([^\n]{{0,400}})", script))


def _targets(rest: str, mentioned: list[Target]) -> list[Target]:
    """Return where a line goes: to what it names itself, else to all that the script names (a group in braces)."""
    if "GITHUB_OUTPUT" in rest:
        return ["output"]
    if "GITHUB_ENV" in rest:
        return ["environment"]
    return mentioned


def _line_start(script: str, position: int) -> int:
    return script.rfind("\n", max(0, position - _MAX_LINE), position) + 1


def _line_end(script: str, position: int) -> int:
    limit = min(len(script), position + _MAX_LINE)
    end = script.find("\n", position, limit)
    return limit if end < 0 else end


def _value_end(script: str, position: int) -> int:
    """Return where the value of an assignment ends: with its line, or with the quotes or brackets open there."""
    end = _line_end(script, position)
    opening = script[position : position + 1]
    if script.startswith('"$(', position):
        return _value_end(script, position + 1)
    if opening in ('"', "'"):
        close = script.find(opening, position + 1, position + _MAX_LINE)
        return end if close < 0 else max(close + 1, position)
    if script.startswith("$(", position):
        depth = 0
        for bracket in _BRACKET.finditer(script, position, min(len(script), position + _MAX_LINE)):
            depth += 1 if bracket[0] == "(" else -1
            if depth == 0:
                return bracket.end()
    return end
