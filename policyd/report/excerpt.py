"""A line of a judged file with a caret under the part that a violation names."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import accumulate

from policyd.models.decision import Place
from policyd.report.layout import Style
from policyd.report.text import columns, pieces

#: Where YAML ends a line, which is what line numbers count. `str.splitlines` knows more: off after a form feed.
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_TAB = "    "
#: Columns of the line kept to the left of the caret when a long line is cut.
_LEAD = 16
#: Characters of a line that are looked at at all: a file may be one line of ten megabytes with a thousand violations.
_MAX_LINE = 4096


def excerpt(content: bytes, place: Place, *, width: int, style: Style) -> list[str]:
    """Return two lines, source and caret, each at most about `width` columns; none where the file has no such line."""
    lines = _lines(content)
    if not 1 <= place.line <= len(lines):
        return []
    line = lines[place.line - 1]
    start = min(max(place.column - 1, 0), len(line))
    end = len(line) if place.end_line > place.line else min(place.end_column - 1, len(line))
    if len(line) > _MAX_LINE:
        skipped = max(start - _MAX_LINE // 2, 0)
        line, start, end = line[skipped : skipped + _MAX_LINE], start - skipped, min(end - skipped, _MAX_LINE)
    gutter = f"{place.line} | "
    shown, caret_at, caret_columns = _window(line, start, max(end, start), width - len(gutter))
    return [
        style("quiet", gutter) + shown,
        style("quiet", " " * (len(gutter) - 2) + "| ") + " " * caret_at + style("bad", "^" * max(caret_columns, 1)),
    ]


@lru_cache(maxsize=1)
def _lines(content: bytes) -> list[str]:
    """Return the lines of the file; remembered, since its violations are rendered one after the other."""
    return _LINE_BREAK.split(content.decode("utf-8-sig", "replace"))


def _window(line: str, start: int, end: int, room: int) -> tuple[str, int, int]:
    """Return the shown part of `line` that fits `room`, with the caret's offset and length in columns."""
    shown = [_TAB if character == "\t" else piece for character, piece in zip(line, pieces(line), strict=True)]
    # 1. Spaces at the left say nothing here.
    first = min(len(line) - len(line.lstrip(" \t")), start)
    # 2. Where the part starts far to the right, the line is cut before it.
    lead = _offsets(shown)
    if lead[end] - lead[first] > room and lead[start] - lead[first] > _LEAD:
        first = next(index for index in range(first, start + 1) if lead[start] - lead[index] <= _LEAD)
        head = "…"
    else:
        head = ""
    # 3. And after what fits.
    limit = lead[first] + max(room - len(head), 20)
    last = next((index for index in range(first, len(line) + 1) if lead[index] > limit), len(line) + 1) - 1
    tail = "…" if last < len(line) else ""
    body = "".join(shown[first:last]).rstrip()
    return head + body + tail, len(head) + lead[start] - lead[first], lead[max(min(end, last), start)] - lead[start]


def _offsets(shown: list[str]) -> list[int]:
    """Return the column at which each piece starts, and the one after the last."""
    plain = "".join(shown).isascii()
    return list(accumulate(map(len if plain else columns, shown), initial=0))
