"""What text reports share: looks, wrapped paragraphs and tables, measured in terminal columns.

Colour is the caller's: a `Style` turns a look and a text into text with whatever the terminal understands. A report
says everything in words first, so `plain` loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from policyd.report.text import columns

#: What a part of a report is, for a caller who wants to colour it.
Look = Literal["good", "bad", "doubt", "warn", "quiet", "strong", "place"]
Style = Callable[[Look, str], str]
DEFAULT_WIDTH = 100
_NARROWEST = 40


def plain(_look: Look, text: str) -> str:
    """Return `text` as it is: the style of files, pipes and `NO_COLOR`."""
    return text


def pad(text: str, width: int) -> str:
    """Return shown text filled with spaces to `width` columns."""
    return text + " " * max(0, width - columns(text))


def wrap(text: str, *, width: int, indent: str = "", first: str | None = None) -> list[str]:
    """Return shown text as lines of at most `width` columns, broken at spaces only.

    `first` starts the first line (by default as the others, `indent`). A word that is too long stays whole: breaking
    inside a word could move the opening of a CI command to the start of a line.
    """
    width = max(width, _NARROWEST)
    lines: list[str] = []
    line = indent if first is None else first
    used = columns(line)
    empty = True
    for word in text.split(" "):
        needed = columns(word)
        if not empty and used + 1 + needed > width:
            lines.append(line)
            line, used, empty = indent, columns(indent), True
        line += word if empty else f" {word}"
        used += needed if empty else needed + 1
        empty = False
    return [*lines, line]


def table(rows: Sequence[Sequence[str]], *, indent: str = "", gap: str = "  ") -> list[str]:
    """Return shown cells as lines with aligned columns. The last column is not padded, so no line ends in spaces."""
    if not rows:
        return []
    widths = [max(columns(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        (indent + gap.join(pad(cell, width) for cell, width in zip(row, widths, strict=True))).rstrip() for row in rows
    ]


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return `1 rule`, `2 rules`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def short(digest: str) -> str:
    """Return enough of a SHA-256 to recognise it. For people only: nothing compares shortened digests."""
    return digest[:12]
