"""How deep JSON bytes nest, found before anything parses them (docs/adr/0008; docs/threats.md, T41).

`policyd.models.strict_json.read_json` does this and reads; here is the check alone, for bytes that another parser
will get.
"""

from __future__ import annotations

from policyd.errors import InputTooLarge
from policyd.models.strict_json import json_depth

MAX_DEPTH = 64  # the same as for YAML


def require_shallow_json(content: bytes, max_depth: int = MAX_DEPTH, *, where: str = "JSON document") -> None:
    """Raise `InputTooLarge` if arrays and objects in `content` are nested deeper than `max_depth`.

    Works on any bytes, JSON or not, in time linear in their number.
    """
    if content.count(b"[") + content.count(b"{") > max_depth and json_depth(content) > max_depth:
        raise InputTooLarge(
            f"values are nested more than {max_depth} deep", where=where, fix="make the document flatter"
        )
