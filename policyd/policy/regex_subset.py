"""Regular expressions that Go's RE2 and Rust's regex crate read alike.

Measured, regorus 0.13 and OPA 1.22: classes such as `\\w` are Unicode in one and ASCII in the other; `[a-z&&[b]]`,
`a++`, `(?x)`, `\\<`, an unescaped `{` and `[[]` mean different things or are errors in one. So a pattern is read by a
small grammar of its own, and what that does not know is called a difference.
"""

from __future__ import annotations

import re

_ESCAPABLE = frozenset(".-$()[]{}|*+?^\\/\"'tnr")
_COUNT = re.compile(r"\{[0-9]{1,3}(,[0-9]{0,3})?\}")
_GROUP = re.compile(r"\(\?(i\)|:|i:)")


def find_regex_difference(pattern: str) -> tuple[str, str] | None:
    """Return what the engines would read differently in `pattern` and what to write, or None where they agree."""
    if not pattern.isascii():
        return "it holds characters beyond ASCII", "use ASCII"
    position, after_repeat = 0, False
    while position < len(pattern):
        char = pattern[position]
        if char == "\\":
            escaped = pattern[position + 1 : position + 2]
            if escaped not in _ESCAPABLE or not escaped:
                return f"\\{escaped} is not the same set in both", "write the characters, like [A-Za-z0-9_] or [ \\t]"
            position, after_repeat = position + 2, False
        elif char == "[":
            end = _class_end(pattern, position)
            if end is None:
                return "this character class", "escape [ inside a class, and double no &, - or ~ there"
            position, after_repeat = end, False
        elif char == "(" and pattern.startswith("(?", position):
            group = _GROUP.match(pattern, position)
            if group is None:
                return "this kind of group or flag", "use ( ), (?: ) or (?i)"
            position, after_repeat = group.end(), False
        elif char in "*+?{":
            if char == "{":
                count = _COUNT.match(pattern, position)
                if count is None:
                    return "a brace that is no count", "write \\{"
                position = count.end()
            else:
                position += 1
            if after_repeat:
                return "a repetition of a repetition", "use one"
            if pattern.startswith("?", position):
                position += 1
            after_repeat = True
        else:
            position, after_repeat = position + 1, False
    return None


def _class_end(pattern: str, start: int) -> int | None:
    position = start + 1
    if pattern.startswith("^", position):
        position += 1
    first = position
    while position < len(pattern):
        char = pattern[position]
        if char == "]":
            return position + 1 if position > first else None
        if char == "\\":
            escaped = pattern[position + 1 : position + 2]
            if escaped not in _ESCAPABLE or not escaped:
                return None
            position += 2
        elif char == "[" or pattern.startswith(("&&", "--", "~~"), position):
            return None
        else:
            position += 1
    return None
