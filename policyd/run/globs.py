"""Globs over relative paths: `*` and `?` stay within a component, `**` as a whole component crosses any number.

Both sides may be hostile: the pipeline writes the pattern, a stage the names. Matching therefore takes time in
proportion to pattern times path, and never backtracks further.
"""

from __future__ import annotations

from fnmatch import fnmatchcase


def matches(pattern: str, path: str) -> bool:
    """Say whether `path` matches `pattern`. Case counts; `*` also matches a leading dot."""
    wanted, parts = pattern.split("/"), path.split("/")
    at, here = 0, 0
    # Where the last `**` stood and how much of the path it has taken: the only choice ever revised.
    star, taken = -1, 0
    while here < len(parts):
        if at < len(wanted) and wanted[at] == "**":
            star, taken = at, here
            at += 1
        elif at < len(wanted) and _component(wanted[at], parts[here]):
            at, here = at + 1, here + 1
        elif star >= 0:
            taken += 1
            at, here = star + 1, taken
        else:
            return False
    return all(part == "**" for part in wanted[at:])


def _component(pattern: str, name: str) -> bool:
    # fnmatch has matched its stars without backtracking into each other since Python 3.9.
    return fnmatchcase(name, pattern)
