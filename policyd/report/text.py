"""The one way foreign text reaches an output.

Names, messages and stage output come from whoever wrote the pipeline, so they may hold what makes a terminal lie
(escape sequences, bidirectional overrides, invisible characters) or what an outer CI system obeys. `show` writes such
characters as escapes (`\\x1b`, `\\u202e`), breaks the openings of commands, and is the identity for ordinary text. A
backslash that was there stays as it is: the result is for reading, not for parsing back.
"""

from __future__ import annotations

import re
import unicodedata

#: Control, format (bidi, zero width, tags), surrogate, private and unassigned; line and paragraph separators.
_HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
#: Characters that Unicode calls letters, marks or symbols and that still show nothing (Default_Ignorable_Code_Point,
#: and the blank braille pattern).
_INVISIBLE = frozenset(
    {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2800, 0x3164, 0xFFA0}
    | set(range(0xFE00, 0xFE10))
    | set(range(0xE0100, 0xE01F0))
)
#: More marks on one letter than any language writes; beyond, they only paint over the lines around.
_MAX_MARKS = 4
#: GitHub obeys `::name` at the start of a line, whatever space is before it; and `##[name]` *anywhere* in a line, as
#: Azure does `##vso[` and TeamCity `##teamcity[`: a prefix alone stops only the first. Since text gets wrapped, the
#: start of any word may become the start of a line.
#: Source: actions/runner src/Runner.Common/ActionCommand.cs, TryParseV2 and TryParse.
_COMMAND = re.compile(r"#(?=#[A-Za-z]{0,16}\[)|(?<!\S):(?=:)")
_COMMAND_ESCAPE = {"#": "\\x23", ":": "\\x3a"}
#: Longer lines are cut: nobody reads them, and a terminal takes minutes to draw them.
MAX_LINE_CHARACTERS = 16_384


def show(text: str, *, width: int | None = None) -> str:
    """Return `text` safe for one line of any output; with `width`, cut to that many columns with an ellipsis.

    Nothing in the result moves a cursor, hides, reorders, starts a new line or gives a command to a CI system.
    """
    if width is not None:
        # Every fifth character at the latest takes a column (`_MAX_MARKS`), so what is cut off here would not fit.
        text = text[: (_MAX_MARKS + 1) * (width + 1)]
    shown = text if text.isascii() and text.isprintable() and not _COMMAND.search(text) else "".join(pieces(text))
    return shown if width is None else _cut(shown, width)


def show_lines(text: str) -> list[str]:
    """Return the lines of `text`, each as `show` gives it: for text that may have line breaks of its own."""
    return [show(line) for line in re.split(r"\r\n|\n", text)]


def pieces(text: str) -> list[str]:
    """Return for each character of `text` what `show` writes for it, so that a caret finds its column."""
    commands = {match.start() for match in _COMMAND.finditer(text)}
    if not commands and text.isascii() and text.isprintable():
        return list(text)
    written: list[str] = []
    marks = 0
    for index, character in enumerate(text):
        if index in commands:
            written.append(_COMMAND_ESCAPE[character])
            continue
        if character.isascii():
            marks = 0
            written.append(character if character.isprintable() else _escape(character))
            continue
        marks = marks + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        written.append(_escape(character) if marks > _MAX_MARKS or _is_hidden(character) else character)
    return written


def stage_line(stage: str, line: bytes) -> str:
    """Return a line of a stage's output for people, as `stage | text`.

    Bytes that are not UTF-8 become U+FFFD. The prefix is always there: no line of ours starts with what a stage wrote.
    """
    text = line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "replace")
    if len(text) > MAX_LINE_CHARACTERS:
        text = f"{text[:MAX_LINE_CHARACTERS]}… ({len(text)} characters)"
    # Tabs align columns in what compilers print; a terminal can do no harm with them.
    return f"{show(stage)} | {show(text.replace(chr(9), '    '))}"


def columns(text: str) -> int:
    """Return how many terminal columns shown text takes: two for wide characters, none for combining marks."""
    if text.isascii():
        return len(text)
    return sum(_columns_of(character) for character in text)


def _columns_of(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _cut(shown: str, width: int) -> str:
    if columns(shown) <= width:
        return shown
    if width < 1:
        return ""
    used = 0
    for index, character in enumerate(shown):
        used += _columns_of(character)
        if used > width - 1:
            return shown[:index] + "…"
    return shown


def _is_hidden(character: str) -> bool:
    category = unicodedata.category(character)
    # Every space but the ordinary one: a name with a no-break space is not the name it looks like.
    return category in _HIDDEN or category == "Zs" or ord(character) in _INVISIBLE


def _escape(character: str) -> str:
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    if named:
        return named
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
