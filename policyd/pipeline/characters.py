"""Characters that hide what a text says: control, bidirectional and zero-width ones (docs/threats.md, T6).

They make two names look alike, or a reviewer read another script than the shell does. Sources: Unicode Technical
Standard 39, "Unicode Security Mechanisms"; Boucher and Anderson, "Trojan Source" (2021).
"""

from __future__ import annotations

import re
import unicodedata

# Variation selectors 15 and 16 stay out: they follow common emoji and change no letter.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def find_hidden_character(text: str) -> int | None:
    """Return the offset of the first control, bidirectional or zero-width character; tab and line ends are none."""
    match = _HIDDEN.search(text)
    return match.start() if match else None


def describe_character(character: str) -> str:
    """Return code point and Unicode name in ASCII: `U+202E RIGHT-TO-LEFT OVERRIDE`."""
    return f"U+{ord(character):04X} {unicodedata.name(character, 'control character')}"


def quoted(value: object, limit: int = 60) -> str:
    """Return a value of a foreign document for an error message: one line of printable ASCII, cut at `limit`."""
    if isinstance(value, str):
        return ascii(value if len(value) <= limit else value[:limit] + "...")
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    return str(value).lower() if isinstance(value, bool) else ascii(value)
