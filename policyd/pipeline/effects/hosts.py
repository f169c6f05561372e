"""Addresses in words, and which of them stay near."""

from __future__ import annotations

import re

URL = re.compile(
    r"(?P<scheme>https?|git|ftp|tcp|ssh)://(?:[^/@\s'\"]*@)?(?P<host>\[[^\]]*\]|[^/:?#\s'\"]*)(?P<rest>[^\s'\"]*)"
)
_NEAR = re.compile(
    r"127\.|10\.|192\.168\.|172\.(?:1[6-9]|2[0-9]|3[01])\.|169\.254\.|0\.0\.0\.0|\[|[A-Za-z0-9_-]*\Z|.*\.(?:local|localhost|internal|test|svc)\Z|.*[$%<{]"
)


def is_near(host: str) -> bool:
    """Say whether `host` is this machine, a private network, a service beside the stage or not known yet."""
    return _NEAR.match(host) is not None


def hosts_in(words: list[str]) -> list[str]:
    """Return the hosts of the addresses in `words`."""
    return [found["host"] for word in words if "://" in word for found in URL.finditer(word)]
