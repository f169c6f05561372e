"""Parts of an input by digest: what a waiver or a baseline binds, whatever line it stands on."""

from __future__ import annotations

import json

from policyd.models.base import JsonPath, Sha256
from policyd.models.canonical import canonical_json, sha256_hex
from policyd.policy.input_subset import find_number


def part_sha256(document: object, at: JsonPath) -> Sha256 | None:
    """Return the digest of the part that `at` names; None where there is none or it is the whole input.

    Where the part stands is not what it is: a fact's own `at` is left out, so that a line put in above changes nothing.
    """
    if not at:
        return None
    found, part = _find(document, at)
    return _digest(part, at) if found else None


def holds_part(document: object, at: JsonPath, sha256: Sha256) -> bool:
    """Say whether the part with this digest is there: at `at`, or at another position of the list it stands in."""
    if part_sha256(document, at) == sha256:
        return True
    if not at or not isinstance(at[-1], int):
        return False
    _, above = _find(document, at[:-1])
    return isinstance(above, list) and any(
        _digest(part, (*at[:-1], index)) == sha256 for index, part in enumerate(above)
    )


def _find(document: object, at: JsonPath) -> tuple[bool, object]:
    part = document
    for step in at:
        in_object = isinstance(part, dict) and isinstance(step, str) and step in part
        in_list = isinstance(part, list) and isinstance(step, int) and 0 <= step < len(part)
        if not (in_object or in_list):
            return False, None
        part = part[step]  # type: ignore[index]  # one of the two, as just asked
    return True, part


def _digest(part: object, at: JsonPath) -> Sha256 | None:
    if isinstance(part, dict) and part.get("at") == list(at):
        part = {name: value for name, value in part.items() if name != "at"}
    try:
        return sha256_hex(_plain_json(part) or canonical_json(part))
    except ValueError:  # a number beyond 2**53 has no canonical form; no waiver can then name this part
        return None


def _plain_json(part: object) -> bytes | None:
    """Return the canonical bytes of a parsed JSON value where they are plain, None where only RFC 8785 knows them.

    A tenth of the cost, for the many parts that hold nothing but ASCII and short whole numbers: then sorting by code
    point is sorting by UTF-16, and no number has two spellings.
    """
    text = json.dumps(part, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    content = text.encode()
    return content if content.isascii() and find_number(content) is None else None
