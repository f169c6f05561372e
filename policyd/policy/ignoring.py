"""Comments in a pipeline that lift a finding there: `# policyd: ignore[family.rule] why`.

A linter's convenience, for `policyd check` alone: whoever writes the pipeline writes the comment, so no gate reads it.
A comment acts on its own line, or, standing alone, on the next line that is no comment. It names its rules and gives
its reason; one that does not lifts nothing, and says so.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass

from policyd.models.decision import Decision, Effect, Level

_COMMENT = re.compile(r"#[ \t]*policyd:[ \t]*ignore\[([^\]\r\n]*)\]([^\r\n]*)")
_MARK = b"policyd:"
_LINE_END = re.compile(r"\r\n|\n|\r")  # as the source map counts lines


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment that would lift findings of `rules` on `line`; `written` is the line it stands on. Both from 1."""

    written: int
    line: int
    rules: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """What comments do to one decision: its violations by index with the reason, and what is to be said."""

    reasons: Mapping[int, str]
    notes: tuple[str, ...]


NOTHING = Ignored({}, ())


def find_comments(content: bytes) -> tuple[Comment, ...]:
    """Return the comments in a pipeline file, in the order of its lines. Any bytes will do."""
    if _MARK not in content:
        return ()
    lines = _LINE_END.split(content.decode("utf-8", "replace"))
    found = []
    for number, line in enumerate(lines, start=1):
        match = _COMMENT.search(line)
        if match is None:
            continue
        rules = tuple(name.strip() for name in match[1].split(",") if name.strip())
        found.append(Comment(number, _meant(lines, number), rules, match[2].strip()))
    return tuple(found)


def apply_comments(
    decision: Decision, content: bytes, path: str, *, known_rules: Container[str], allowed: bool
) -> Ignored:
    """Return which violations of `decision` the comments in `content`, the file at `path`, lift.

    With `allowed` false, settings forbid comments: none acts and each is said.
    """
    comments = find_comments(content)
    if not comments:
        return NOTHING
    reasons: dict[int, str] = {}
    notes = []
    for comment in comments:
        where = f"{path}:{comment.written}"
        if not allowed:
            notes.append(f"{where}: settings forbid comments that ignore rules, so this one does nothing")
            continue
        if problem := _unusable(comment, known_rules):
            notes.append(f"{where}: the comment does nothing: {problem}")
            continue
        used = False
        for index, violation in enumerate(decision.violations):
            place = violation.place
            if place is None or place.file != path or violation.rule not in comment.rules:
                continue
            if place.line != comment.line or violation.effect is Effect.WAIVED:
                continue
            used = True
            if violation.level is Level.HARD:
                notes.append(f"{where}: {violation.rule} is hard, so no comment lifts it")
            else:
                reasons[index] = comment.reason
        if not used:
            notes.append(f"{where}: the comment lifts nothing: {', '.join(comment.rules)} finds nothing on that line")
    return Ignored(reasons, tuple(notes))


def _unusable(comment: Comment, known_rules: Container[str]) -> str:
    if not comment.rules:
        return "it names no rule; write ignore[family.rule]"
    unknown = [name for name in comment.rules if name not in known_rules]
    if unknown:
        return f"there is no rule {unknown[0]!r}"
    return "" if comment.reason else "it gives no reason; write one behind the bracket"


def _meant(lines: list[str], number: int) -> int:
    """Return the line that the comment on line `number` speaks of."""
    if not lines[number - 1].lstrip().startswith("#"):
        return number
    for following in range(number, len(lines)):
        text = lines[following].strip()
        if text and not text.startswith("#"):
            return following + 1
    return number
