"""What comes from elsewhere, taken apart by its name: what every CI system's way of naming has in common."""

from __future__ import annotations

from typing import NamedTuple

from policyd.models.facts import ReferenceKind

_DIGEST_LENGTHS = {"sha256": 64, "sha512": 128}
_HEX = frozenset("0123456789abcdefABCDEF")


class ParsedReference(NamedTuple):
    """A reference taken apart, as `models.facts.Reference` wants it.

    `slug` is the name by which a front end looks up what it knows of a component, `text` how a reference is shown that
    is not written in one piece; both are "" where the front end has no need. `insecure`: fetched without encryption.
    """

    kind: ReferenceKind
    owner: str
    name: str
    ref: str
    local: bool
    pinned: bool
    computed: bool = False
    slug: str = ""
    text: str = ""
    insecure: bool = False


class ImageName(NamedTuple):
    """The name of an image. `ref` is its digest, else its tag; `pinned` says that it has a whole digest."""

    owner: str
    name: str
    tag: str
    ref: str
    pinned: bool


def split_image(text: str) -> ImageName:
    """Return `owner/name:tag@digest` in its parts; the owner holds the registry as well."""
    path, _, digest = text.partition("@")
    head, slash, last = path.rpartition("/")
    name, _, tag = last.partition(":")
    algorithm, _, hexadecimal = digest.partition(":")
    pinned = len(hexadecimal) == _DIGEST_LENGTHS.get(algorithm) and _HEX.issuperset(hexadecimal)
    return ImageName(head if slash else "", name, tag, digest or tag, pinned)


def is_commit(ref: str) -> bool:
    """Say whether a ref is a whole commit id."""
    return len(ref) in (40, 64) and _HEX.issuperset(ref)
