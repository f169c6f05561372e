"""What a script hands to later steps and jobs: lines of the log that set variables.

Source: learn.microsoft.com "Logging commands" (SetVariable).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from policyd.pipeline.shell import ShellCommand

MAX_WRITTEN = 2_000  # variables of one script
_SET = re.compile(r"##vso\[task\.setvariable([^\]\n]{0,1000})\]([^\r\n]{0,4000})", re.IGNORECASE)
_PROPERTY = re.compile(r"([A-Za-z]+)[ \t]*=[ \t]*([^;\]]*)")
_READ = re.compile(r"\$\{?(?:env:)?([A-Za-z_][A-Za-z0-9_]*)|%([A-Za-z_][A-Za-z0-9_]*)%", re.IGNORECASE)
#: Texts of commits, which git prints.
_GIT_TEXT = re.compile(
    r"\bgit[ \t]+(?:-\S+[ \t]+){0,5}(?:log|show)\b[^|\n)]{0,200}(?:%[Bbs]|%a[ne]\b|--oneline|-1\b)"
    r"|\bgit[ \t]+(?:-\S+[ \t]+){0,5}(?:diff|diff-tree)\b[^|\n)]{0,200}--name-(?:only|status)"
)
_HARMLESS = re.compile(r"\|\s*(?:sha\d*sum|shasum|md5sum|cksum|wc|tr\s+-(?:cd|dc))\b|%H\b|%h\b|rev-parse")


class Written(NamedTuple):
    """A variable that is set: characters `start` to `end` of the script are what it is made of."""

    name: str
    output: bool
    secret: bool
    start: int
    end: int


def find_written(script: str) -> list[Written]:
    """Return the variables that a script sets, in the order of the text."""
    if "##vso[" not in script.lower():
        return []
    found = []
    for one in _SET.finditer(script):
        properties = {name.lower(): value.strip() for name, value in _PROPERTY.findall(one[1])}
        name = properties.get("variable", "").strip("\"'")
        if name:
            output = properties.get("isoutput", "").lower() == "true"
            secret = properties.get("issecret", "").lower() == "true"
            found.append(Written(name, output, secret, one.start(2), one.end(2)))
            if len(found) >= MAX_WRITTEN:
                break
    return found


def variables_read(text: str) -> set[str]:
    """Return the variables of the environment that a text names."""
    return {one[1] or one[2] for one in _READ.finditer(text)}


def reads_commits(text: str) -> bool:
    """Say whether a text holds what git says of commits."""
    return _GIT_TEXT.search(text) is not None and _HARMLESS.search(text) is None


def tainted_by(commands: Sequence[ShellCommand], tainted: frozenset[str]) -> frozenset[str]:
    """Return the variables that hold an outsider's text after a script that finds `tainted` in its environment."""
    known = set(tainted)
    for command in commands:
        for one in command.sets:
            harmless = one.computed and _HARMLESS.search(one.value) is not None
            if not harmless and (one.untrusted or not known.isdisjoint(one.reads) or reads_commits(one.value)):
                known.add(one.name)
    return frozenset(known)
