"""Writes the log as a folder that any tlog client reads, from a disk or behind a plain web server."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from policyd.adapters.stores.files import write_whole
from policyd.errors import StoreError, UsageError
from policyd.record.log import StoredHead
from policyd.record.merkle import NodeId
from policyd.record.tiles import list_tiles, render_bundle


class LogSource(Protocol):
    """What tiles are made from: one unchanging view of the log."""

    def head(self) -> StoredHead:
        """Return size and checkpoint."""

    def hashes(self, nodes: tuple[NodeId, ...]) -> list[bytes]:
        """Return the hashes of complete subtrees in the order asked."""

    def entry_range(self, first: int, stop: int) -> list[bytes]:
        """Return the entries from `first` up to, not including, `stop`."""


def write_tiles(folder: Path, log: LogSource) -> int:
    """Write checkpoint, tiles and entry bundles below `folder`, and return how many files are new.

    Tiles never change, so an earlier export is only added to; the checkpoint, which promises them, comes last.
    Raises `UsageError` for an empty log or a folder that holds something else.
    """
    head = log.head()
    if head.note is None:
        raise UsageError(
            "the record is empty: there is nothing to export", where=str(folder), fix="run a pipeline first"
        )
    written = 0
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        if any(entry.name not in ("checkpoint", "tile") for entry in folder.iterdir()):
            raise UsageError("the folder holds something else", where=str(folder), fix="name a new or empty folder")
        for tile in list_tiles(head.size):
            written += _write_new(folder / tile.path, b"".join(log.hashes(tile.nodes())))
            if tile.level == 0:
                entries = log.entry_range(tile.first, tile.first + tile.width)
                written += _write_new(folder / tile.entries_path, render_bundle(entries))
        write_whole(folder / "checkpoint", head.note.encode(), mode=0o644)
    except OSError as error:
        raise StoreError(
            f"the export can't be written: {(error.strerror or str(error)).lower()}",
            where=str(error.filename or folder),
            fix="free space, or name a folder you may write",
        ) from error
    return written + 1


def _write_new(path: Path, content: bytes) -> int:
    if path.is_file():
        if path.read_bytes() != content:
            raise UsageError("the folder holds the tiles of another log", where=str(path), fix="name an empty folder")
        return 0
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_whole(path, content, mode=0o644)
    return 1
