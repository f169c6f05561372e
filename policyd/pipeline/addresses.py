"""Addresses in pipelines: written by anybody, so some are none."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit


def split_address(text: str) -> SplitResult:
    """Return the parts of a URL; all of `text` is the path where it is none. Never raises.

    `urlsplit` raises for brackets that hold no address and for hosts that other characters stand for.
    """
    try:
        return urlsplit(text)
    except ValueError:
        return SplitResult("", "", text, "", "")
