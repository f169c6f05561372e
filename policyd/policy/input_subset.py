"""The input that both engines read alike: numbers and characters that one of them carries otherwise are found here.

OPA keeps a number as it is written and calculates without loss; regorus reads it into 64 bits. Whole numbers of 15
digits are the same to both whatever is done with them. A fraction compares alike, and calculates differently (0.1 + 0.2
is 0.3 to one of them). One with an exponent, with many digits or with none worth writing (`1.0`) is also printed
differently. Beyond 2**53 two numbers may be one. A character beyond U+FFFF counts as two. Measured with regorus 0.13
and OPA 1.22.

What a rule does with such a value (policyd.policy.subset) decides whether it may be asked; nothing is changed or
rounded on the way.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum

#: JSON up to the first number that is not whole, short and plainly written. Everything is possessive: one pass.
_PLAIN = re.compile(rb'(?:[^"0-9]++|"(?:[^"\\]++|\\.)*+"|(?:(?<!-)0|[1-9][0-9]{0,14}+)(?![0-9.eE]))*+', re.DOTALL)
_NUMBER = re.compile(rb"-?[0-9][0-9.eE+-]*+")
#: Between these, both print a fraction as it is written.
_FRACTION = re.compile(rb"-?(?:0\.0{0,3}[1-9]|[1-9][0-9]{0,5}\.[0-9])[0-9]*")
_WIDE = re.compile(rb"[\xf0-\xf4]|\\u[dD][89aAbB]")
WIDE_CHARACTERS = (
    "the rule may count the characters of a text, and one beyond U+FFFF in the input counts differently in the "
    "engines: use `--engine opa`"
)
_SHORT = 15  # digits that every reader keeps
_MAX_WHOLE = 2**53 - 1  # what every JSON reader keeps exactly
_MAX_DIGITS = 24  # characters of the longest that Python writes, -1.2345678901234567e-308


class Kind(IntEnum):
    """How much of what rules do with a number differs; each kind also has the differences of those before it."""

    PLAIN = 0
    FRACTION = 1  # calculating
    ODD = 2  # printing
    LARGE = 3  # comparing


@dataclass(frozen=True, slots=True)
class FoundNumber:
    """A number as it is written, and its kind."""

    text: str
    kind: Kind


def find_number(content: bytes) -> FoundNumber | None:
    """Return the number in JSON bytes that differs most between the engines, None where all are plain.

    Of bytes that are not JSON it says nothing useful; whoever parses them refuses them.
    """
    if _has_short_whole_numbers_only(content):
        return None
    worst: FoundNumber | None = None
    position = 0
    while True:
        matched = _PLAIN.match(content, position)
        position = matched.end() if matched else position
        if position >= len(content):
            return worst
        number = _NUMBER.match(content, position)
        if number is None:  # half a string: no JSON
            return worst
        # The sign stands before what the first pattern stopped at.
        start = position - (content[position - 1 : position] == b"-")
        text = content[start : number.end()]
        kind = _kind(text)
        if kind > (worst.kind if worst else Kind.PLAIN):
            worst = FoundNumber(text[:40].decode(), kind)
            if kind is Kind.LARGE:
                return worst
        position = number.end()


def _has_short_whole_numbers_only(content: bytes) -> bool:
    """Say whether JSON bytes hold nothing but whole numbers of 15 digits at most: Python's parser is the fastest."""
    found: list[str] = []

    def look_at(text: str) -> int:
        if len(text) > _SHORT or text == "-0":
            found.append(text)
        return 0

    try:
        json.loads(content, parse_int=look_at, parse_float=found.append, parse_constant=found.append)
    except (ValueError, RecursionError):
        return False
    return not found


def holds_wide_characters(content: bytes) -> bool:
    """Say whether text in JSON bytes may hold characters beyond U+FFFF, which regorus counts as two."""
    # A character beyond ASCII stands as it is or behind \\u: without both, nothing has to be searched for.
    if content.isascii() and b"\\u" not in content:
        return False
    return _WIDE.search(content) is not None


def describe_number(found: FoundNumber, where: str) -> str:
    """Return why a rule that does more than this number bears is not asked."""
    done = {Kind.FRACTION: "calculate with", Kind.ODD: "print", Kind.LARGE: "compare"}[found.kind]
    return f"{where} holds the number {found.text}, which the engines {done} differently: use `--engine opa`"


def _kind(text: bytes) -> Kind:
    if text.lstrip(b"-").isdigit():
        if len(text) > 17 or abs(int(text)) > _MAX_WHOLE:
            return Kind.LARGE
        return Kind.ODD if text == b"-0" else Kind.PLAIN
    if len(text) > _MAX_DIGITS:
        return Kind.LARGE
    try:
        held = float(text)
        # The shortest digits of a double: no two of those are the same number, and their order is that of doubles.
        exact = Decimal(text.decode()) == Decimal(repr(held)) and abs(held) <= _MAX_WHOLE
    except (ValueError, ArithmeticError):
        return Kind.LARGE  # no number
    if not exact:
        return Kind.LARGE
    return Kind.FRACTION if _FRACTION.fullmatch(text) and not text.endswith(b"0") else Kind.ODD
