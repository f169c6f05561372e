"""JSON read once, strictly: what two parsers could read differently is refused before anything relies on it.

Bytes and depth are bounded before parsing (deep nesting exhausts a recursive parser), duplicate keys and numbers JSON
can't hold are errors, and text is UTF-8 without a byte order mark. A document that passes means the same to every
parser, so `read_model` may hand the very same bytes to pydantic.

Source: RFC 8259; RFC 7493 (I-JSON) sections 2.1 to 2.3.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, NoReturn, TypeVar

from policyd.errors import DocumentError, InputTooLarge, PolicydError

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

    M = TypeVar("M", bound=BaseModel)

_PARTS = (b'"', b",", b"[", b"{")
_NOT_MARKS = bytes(set(range(256)) - set(b'[]{}"'))
_QUOTE = ord('"')
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
_MAX_ERRORS_SHOWN = 3


def read_json(content: bytes, *, where: str, max_bytes: int, max_depth: int, max_parts: int | None = None) -> object:
    """Return the JSON value in `content`: dict, list, str, int, float, bool or None.

    Raises `InputTooLarge` beyond `max_bytes`, `max_depth` (nested arrays and objects) or `max_parts` (what begins or
    separates values, counted inside strings too) and `DocumentError` for anything that is not one strict JSON text;
    both name `where`. Without `max_parts` a value can take fifty times the memory of its text.
    """
    # 1. Bounds, on the bytes.
    if len(content) > max_bytes:
        raise InputTooLarge(
            f"the JSON document has {len(content)} bytes, more than the {max_bytes} that are read",
            where=where,
            fix="check that this is the file you meant; if it is, make it smaller",
        )
    if max_parts is not None and sum(content.count(part) for part in _PARTS) > max_parts:
        raise InputTooLarge(
            f"the JSON document has more than {max_parts} parts",
            where=where,
            fix="check that this is the file you meant",
        )
    if json_depth(content) > max_depth:
        raise InputTooLarge(
            f"the JSON document is nested deeper than {max_depth} levels",
            where=where,
            fix="check that this is the file you meant; if it is, flatten it",
        )

    # 2. Text.
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DocumentError(
            f"the JSON document is not UTF-8: byte {error.start} can't be read",
            where=where,
            fix="save the file as UTF-8 without a byte order mark",
        ) from error

    # 3. Values. RecursionError can't happen after step 1; ValueError is json's for every kind of bad text.
    try:
        value: object = json.loads(
            text,
            object_pairs_hook=_unique_pairs,
            parse_float=_finite_float,
            parse_constant=_refuse_constant,
        )
        if _SURROGATE_ESCAPE.search(content):
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # half a surrogate pair has no UTF-8
    except json.JSONDecodeError as error:
        raise DocumentError(
            f"not JSON: {error.msg}",
            where=f"{where}, line {error.lineno}, column {error.colno}",
            fix="correct the JSON at that place",
        ) from error
    except ValueError as error:
        reason = "half of a surrogate pair" if isinstance(error, UnicodeEncodeError) else str(error)
        raise DocumentError(
            f"not strict JSON: {reason}", where=where, fix="write each key once and only values that JSON can hold"
        ) from error
    return value


def read_model(
    model: type[M],
    content: bytes,
    *,
    where: str,
    max_bytes: int,
    max_depth: int,
    error: type[PolicydError] = DocumentError,
) -> M:
    """Return `content` as a `model`, read strictly; what does not fit is `error` with the path to the field."""
    from pydantic import ValidationError

    read_json(content, where=where, max_bytes=max_bytes, max_depth=max_depth)
    try:
        return model.model_validate_json(content)
    except ValidationError as invalid:
        raise error(
            f"the document does not fit its schema: {_describe(invalid)}",
            where=where,
            fix="correct the fields named",
        ) from invalid


def json_depth(content: bytes) -> int:
    """Return how deep arrays and objects nest in JSON bytes, without parsing them.

    For bytes that are not JSON the answer is some number that bounds what a parser would reach.
    """
    # 1. No escapes: pairs of backslashes first, since each pair is one character; one left before a quote escapes it.
    plain = content.replace(b"\\\\", b"").replace(b'\\"', b"")
    # 2. Only quotes and brackets, and of these no quotes side by side: two of them change nothing for what follows.
    #    Each step is one copy at most. A list of the strings would take fifty times their text.
    marks = plain.translate(None, _NOT_MARKS).replace(b'""', b"")
    # 3. Brackets outside of strings.
    depth = deepest = 0
    in_string = False
    for byte in marks:
        if byte == _QUOTE:
            in_string = not in_string
        elif in_string:
            continue
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        else:
            # Never below zero: `]]]]` ahead of the text must not hide what opens after it.
            depth = max(0, depth - 1)
    return deepest


def _describe(invalid: ValidationError) -> str:
    found = [
        f"{'.'.join(str(part) for part in entry['loc']) or 'the document'}: {entry['msg']}"
        for entry in invalid.errors(include_url=False, include_context=False, include_input=False)
    ]
    more = len(found) - _MAX_ERRORS_SHOWN
    return "; ".join(found[:_MAX_ERRORS_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _unique_pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"the key {key!r} is there twice")
            seen.add(key)
    return value


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:40]} is too large")
    return value


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")
