"""The log as files that any tlog client reads: hashes in tiles of 256, entries in bundles of 256.

Source: C2SP tlog-tiles, "Merkle Tree", "Partial Tiles" and "Log entries".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from policyd.errors import DocumentError
from policyd.record.entries import MAX_ENTRY_BYTES
from policyd.record.merkle import NodeId

TILE_WIDTH = 256
TILE_HEIGHT = 8  # 2**8 hashes a tile, so every eighth level of the tree is written


@dataclass(frozen=True, slots=True)
class Tile:
    """`width` hashes of level `level` of the tiles, from number `number * 256` on."""

    level: int
    number: int
    width: int

    @property
    def path(self) -> str:
        """Where it lies below the log's folder."""
        return f"tile/{self.level}/{_number_path(self.number, self.width)}"

    @property
    def entries_path(self) -> str:
        """Where the bundle of the same entries lies; for tiles of level 0."""
        return f"tile/entries/{_number_path(self.number, self.width)}"

    @property
    def first(self) -> int:
        """The number of its first hash within its level."""
        return self.number * TILE_WIDTH

    def nodes(self) -> tuple[NodeId, ...]:
        """Return the subtrees whose hashes it holds."""
        return tuple((self.level * TILE_HEIGHT, number) for number in range(self.first, self.first + self.width))


def list_tiles(size: int) -> Iterator[Tile]:
    """Yield every tile of a log with `size` entries, level by level; the last of a level may be partial."""
    level, hashes = 0, size
    while hashes:
        full, rest = divmod(hashes, TILE_WIDTH)
        for number in range(full):
            yield Tile(level, number, TILE_WIDTH)
        if rest:
            yield Tile(level, full, rest)
        level, hashes = level + 1, full


def render_bundle(entries: Sequence[bytes]) -> bytes:
    """Return the entry bundle: each entry after its length in two bytes. Raises `ValueError` for one too long."""
    if any(len(entry) > MAX_ENTRY_BYTES for entry in entries):
        raise ValueError("an entry is too long for a bundle")
    return b"".join(len(entry).to_bytes(2) + entry for entry in entries)


def read_bundle(content: bytes) -> tuple[bytes, ...]:
    """Return the entries of a bundle. Raises `DocumentError` if it is cut or holds too many."""
    entries: list[bytes] = []
    at = 0
    while at < len(content):
        start = at + 2
        at = start + int.from_bytes(content[at:start])
        if start > len(content) or at > len(content) or len(entries) == TILE_WIDTH:
            raise DocumentError("not an entry bundle", where="entry bundle", fix="get the bundle again")
        entries.append(content[start:at])
    return tuple(entries)


def _number_path(number: int, width: int) -> str:
    """Return `x001/x234/067` for 1234067, and `.p/WIDTH` behind it for what is not full."""
    groups = [f"{number % 1000:03}"]
    while number := number // 1000:
        groups.append(f"x{number % 1000:03}")
    path = "/".join(reversed(groups))
    return path if width == TILE_WIDTH else f"{path}.p/{width}"
