"""Writes that set variables, the path or outputs of steps.

GitHub's and Tekton's go to files, Azure's and GitHub's withdrawn ones are lines of the log.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from policyd.models.facts import EffectKind
from policyd.pipeline.effects.found import FoundEffect
from policyd.pipeline.effects.seen import Seen
from policyd.pipeline.effects.tables import words
from policyd.pipeline.effects.values import is_random

_FILE = re.compile(r"(?:\$(?:env:)?\{?(?:env:)?|%)(GITHUB_ENV|GITHUB_PATH|GITHUB_OUTPUT|GITHUB_STATE|BASH_ENV)\b", re.I)
#: `NAME<<$DELIMITER` or `NAME<<end_$(uuidgen)`, the line that ends the value, and a value in one line.
_OPENS = re.compile(
    r"\b[A-Za-z_][A-Za-z0-9_-]{0,100}<<(?:[\w-]{0,40}\$\{?([A-Za-z_][A-Za-z0-9_]*)|[\w-]{0,40}[$`(][^\n]{0,80})"
)
_ENDS = re.compile(r"[\w-]{0,40}\$\{?(\w+)\}?")
_PAIR = re.compile(r"\s*[\"']?[A-Za-z_][A-Za-z0-9_-]*=")
_RESULT = re.compile(r"\$\((?:step\.)?results\.([A-Za-z0-9_.-]+)\.path\)|/tekton/results/([A-Za-z0-9_.-]+)")
_KINDS: dict[str, EffectKind] = {
    "GITHUB_ENV": "environment-write",
    "GITHUB_PATH": "environment-write",
    "BASH_ENV": "environment-write",
    "GITHUB_OUTPUT": "output-write",
    "GITHUB_STATE": "output-write",
}
_PRINTS = words(
    """
    echo printf Write-Host Write-Output write-host write-output print cat tee
    """
)
_WRITES = words(
    """
    tee Out-File Add-Content Set-Content out-file add-content set-content sed cp mv dd
    """
)
_IN_CODE = re.compile(r"(?:environ|getenv|env)[\[.(]*\s*['\"]?(GITHUB_ENV|GITHUB_PATH|GITHUB_OUTPUT)\b")
_AZURE = re.compile(r"##vso\[(task\.setvariable|task\.prependpath)([^\]]{0,300})\]([^'\"\n]{0,300})", re.I)
_WITHDRAWN = re.compile(r"::(set-env|add-path|set-output|save-state)[ :]")


def find_environment_write(seen: Seen) -> Iterator[FoundEffect]:
    """Yield what a command writes for later steps."""
    command = seen.command
    targets = command.writes_to
    if seen.program in _WRITES:
        targets = [*targets, *seen.args]
    for target in targets:
        found = _FILE.search(target) if "_" in target else None
        result = None if found else _RESULT.search(target)
        if found:
            name = found[1].upper()
            yield _write(seen, _KINDS[name], name)
        elif result:
            yield _write(seen, "output-write", result[1] or result[2])
    text = command.text if not command.stdin else command.text + "\n" + command.stdin
    if "##vso[" in text or "##VSO[" in text:
        yield from _azure(seen, text)
    if "::" in text and seen.program not in ("grep", "sed"):
        for withdrawn in dict.fromkeys(found[1] for found in _WITHDRAWN.finditer(text)):
            yield seen.found("deprecated-command", withdrawn)
            yield _write(
                seen, "environment-write" if withdrawn in ("set-env", "add-path") else "output-write", withdrawn
            )
    if command.program == seen.shell and command.stdin:
        for name in dict.fromkeys(found[1] for found in _IN_CODE.finditer(command.stdin)):
            yield _write(seen, _KINDS[name], name)


def _write(seen: Seen, kind: EffectKind, detail: str) -> FoundEffect:
    command = seen.command
    # What other programs print is made while they run, and so is what comes down a pipe from them.
    made = seen.program not in _PRINTS or (seen.program == "cat" and len(command.argv) > 1)
    made |= command.fed_by != "" and command.fed_by not in _PRINTS
    received = bool(command.receives & seen.known_tainted)
    untrusted, computed = seen.untrusted or received, seen.computed or made
    if (untrusted or computed) and _is_enclosed(seen):
        untrusted = computed = False
    return seen.found(kind, detail, computed=computed, untrusted=untrusted)


def _is_enclosed(seen: Seen) -> bool:
    """Say whether a value stands between two lines that nobody can foresee, so that none of its lines ends it."""
    own = " ".join(seen.command.argv[1:])
    if not seen.command.stdin and _PAIR.match(own) and not _OPENS.search(own):
        return False
    before = seen.before()
    closed: set[str] = set()
    for command in (seen.command, *reversed(before)):
        text = f"{' '.join(command.argv[1:])}\n{command.stdin}"
        opened = _OPENS.search(text)
        if opened:
            if any(_PAIR.match(line) and "$" in line for line in text[opened.end() :].splitlines()):
                return False
            if opened[1] is None:
                return is_random(opened[0])
            sets = [one for other in (*before, seen.command) for one in other.sets if one.name == opened[1]]
            return opened[1] not in closed and any(is_random(one.value) for one in sets)
        if command is not seen.command and len(command.argv) == 2 and (end := _ENDS.fullmatch(command.argv[1])):
            closed.add(end[1])
    return False


def _azure(seen: Seen, text: str) -> Iterator[FoundEffect]:
    for found in _AZURE.finditer(text):
        name, settings = found[1].lower(), found[2].lower().replace(" ", "")
        output = name == "task.setvariable" and "isoutput=true" in settings
        # Files of a change bear the names that its author chose.
        untrusted = seen.untrusted or not seen.files.isdisjoint(seen.command.reads)
        yield seen.found("output-write" if output else "environment-write", found[1], untrusted=untrusted)
        value = found[3].strip()
        if "issecret=true" in settings and re.fullmatch(r"[^$%]{4,}", value):
            yield seen.found("literal-credential", "a value declared a secret", confidence="medium")
