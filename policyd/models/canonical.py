"""Canonical bytes for what policyd signs or names by digest.

Source: RFC 8785, JSON Canonicalization Scheme.
"""

from __future__ import annotations

import hashlib

import rfc8785


def canonical_json(value: object) -> bytes:
    """Return the RFC 8785 bytes of a JSON value (dicts with string keys, lists, str, int, float, bool, None).

    Raises `ValueError` for values JSON can't hold (NaN, integers beyond 2**53, other types).
    """
    return rfc8785.dumps(value)  # type: ignore[arg-type]  # rfc8785's alias is recursive and invariant


def sha256_hex(content: bytes) -> str:
    """Return the SHA-256 of `content` in lower-case hex."""
    return hashlib.sha256(content).hexdigest()
