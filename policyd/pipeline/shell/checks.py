"""Tests that a text passes only if it is plain: one of the words written out, or nothing but plain characters.

Behind `[[ $V =~ ^[0-9]+$ ]] || exit 1` and in `case $V in dev|prod) …` the variable says nothing that its author could
choose freely. What `grep` lets pass is not counted: it looks at each line by itself, and one that fits is enough.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_NOBODY: frozenset[str] = frozenset()
_TEST = re.compile(r"\[\[?\s+(?P<tests>.{1,1000}?)\s+\]\]?\Z", re.DOTALL)
_ONE = re.compile(
    r"(?P<not>!\s+)?\"?\$(?:\{(?P<braced>[A-Za-z_]\w*)\}|(?P<name>[A-Za-z_]\w*))\"?\s+(?P<sign>=~|==?|!=)\s+(?P<pattern>\S+)\Z"
)
_VARIABLE = re.compile(r"\"?\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))\"?\Z")
#: A whole text of plain pieces: classes that are listed, words, groups of these, and how often they come.
_CLASS = r"\[(?:[A-Za-z0-9_.,:/@+-]|\[:(?:alnum|alpha|digit|lower|upper|xdigit):\])+\]"
_PIECE = rf"(?:{_CLASS}|[A-Za-z0-9_/@:,=-]|\\[.d/+-]|[()|])(?:[+*?]|\{{[0-9,]+\}})?"
_PLAIN_PATTERN = re.compile(rf"\^(?:{_PIECE}){{1,100}}\$\Z")
#: `^a|b$` holds one end each.
_LOOSE_CHOICE = re.compile(r"\|(?![^(]*\))")
_WORD = re.compile(r"[\"']?[A-Za-z0-9_./:@+=, -]*[\"']?\Z")
_OTHER_CHARACTER = re.compile(r"\*\[[!^](?:[A-Za-z0-9_.,:/@+-]|\[:\w+:\])+\]\*\Z")


class Checked(NamedTuple):
    """The variables that are plain where a test passes, and those that are where it fails."""

    passes: frozenset[str] = _NOBODY
    fails: frozenset[str] = _NOBODY

    def turned(self) -> Checked:
        """Return what is known behind `!`."""
        return Checked(self.fails, self.passes)

    def joined(self, sign: str, other: Checked) -> Checked:
        """Return what is known behind `&&` or `||`."""
        if sign == "&&":
            return Checked(self.passes | other.passes, self.fails & other.fails)
        return Checked(self.passes & other.passes, self.fails | other.fails)


NOTHING_CHECKED = Checked()


def find_check(test: str) -> Checked:
    """Return what `[ … ]` or `[[ … ]]` says of variables."""
    within = _TEST.match(test)
    if within is None or "$" not in test:
        return NOTHING_CHECKED
    signs = {sign for sign in ("&&", "||") if f" {sign} " in within["tests"]}
    if len(signs) > 1:
        return NOTHING_CHECKED
    sign = min(signs, default="")
    checked = [_one(part.strip()) for part in (within["tests"].split(f" {sign} ") if sign else [within["tests"]])]
    whole = checked[0]
    for other in checked[1:]:
        whole = whole.joined(sign, other)
    return whole


def _one(test: str) -> Checked:
    found = _ONE.match(test)
    if found is None:
        return NOTHING_CHECKED
    pattern = found["pattern"]
    if found["sign"] == "=~":
        is_plain = _PLAIN_PATTERN.match(pattern) is not None and _LOOSE_CHOICE.search(pattern) is None
    else:
        is_plain = _WORD.match(pattern) is not None
    if not is_plain:
        return NOTHING_CHECKED
    checked = Checked(passes=frozenset((found["braced"] or found["name"],)))
    return checked.turned() if (found["sign"] == "!=") != bool(found["not"]) else checked


def find_name(word: str) -> str:
    """Return the variable that a word is and nothing else; "" for another word."""
    found = _VARIABLE.match(word)
    return (found[1] or found[2]) if found else ""


def is_word(pattern: str) -> bool:
    """Say whether a pattern of `case` fits one text alone."""
    return _WORD.match(pattern) is not None


def finds_other_character(pattern: str) -> bool:
    """Say whether a pattern of `case` fits each text with a character that is not plain: `*[!0-9]*`, `*` itself."""
    return pattern == "*" or _OTHER_CHARACTER.match(pattern) is not None
