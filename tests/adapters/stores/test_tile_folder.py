from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from policyd.adapters.stores.store import Store, open_store
from policyd.adapters.stores.tile_folder import write_tiles
from policyd.attestation.signing import Signer
from policyd.errors import UsageError
from policyd.models.records import Event
from policyd.record.checkpoint import log_key, verify_checkpoint
from policyd.record.merkle import CompactRange, leaf_hash
from policyd.record.tiles import TILE_WIDTH, list_tiles, read_bundle

MakeEvent = Callable[..., Event]


def export(store: Store, folder: Path) -> int:
    with store.record.snapshot() as stored:
        return write_tiles(folder, stored)


def read_as_a_client(folder: Path, signer: Signer) -> list[bytes]:
    """Check every file against the checkpoint, from the specification alone, and return the entries."""
    checkpoint = verify_checkpoint((folder / "checkpoint").read_text(), [log_key(signer.public_key_pem)])
    entries: list[bytes] = []
    hashes: list[bytes] = []
    for tile in list_tiles(checkpoint.size):
        content = (folder / tile.path).read_bytes()
        assert len(content) == 32 * tile.width
        if tile.level == 0:
            bundle = read_bundle((folder / tile.entries_path).read_bytes())
            assert b"".join(leaf_hash(entry) for entry in bundle) == content
            entries.extend(bundle)
        else:
            # Each hash is the root of one full tile below.
            first = tile.first * TILE_WIDTH
            for number in range(tile.width):
                below = CompactRange()
                for leaf in hashes[first + number * TILE_WIDTH : first + (number + 1) * TILE_WIDTH]:
                    below.add(leaf)
                assert below.root() == content[32 * number : 32 * number + 32]
            continue
        hashes.extend(content[at : at + 32] for at in range(0, len(content), 32))
    tree = CompactRange()
    for leaf in hashes:
        tree.add(leaf)
    assert tree.root() == checkpoint.root
    return entries


def test_a_client_reads_what_was_recorded(store: Store, event: MakeEvent, signer: Signer, tmp_path: Path) -> None:
    store.record.append([event(number) for number in range(600)])

    assert export(store, tmp_path / "log") == 8  # three tiles, three bundles, one tile above, the checkpoint

    assert len(read_as_a_client(tmp_path / "log", signer)) == 600
    assert (tmp_path / "log/tile/0/002.p/88").is_file()
    assert (tmp_path / "log/tile/entries/001").is_file()
    assert (tmp_path / "log/tile/1/000.p/2").is_file()


def test_a_later_export_only_adds(store: Store, event: MakeEvent, signer: Signer, tmp_path: Path) -> None:
    store.record.append([event(number) for number in range(300)])
    export(store, tmp_path / "log")
    store.record.append([event(number) for number in range(300)])

    assert export(store, tmp_path / "log") == 6  # tile and bundle 001, tile and bundle 002, the tile above, checkpoint

    assert len(read_as_a_client(tmp_path / "log", signer)) == 600


def test_a_folder_with_something_else_is_left_alone(store: Store, event: MakeEvent, tmp_path: Path) -> None:
    store.record.append([event()])
    (tmp_path / "notes").write_text("mine")

    with pytest.raises(UsageError, match="something else"):
        export(store, tmp_path)


def test_the_tiles_of_another_log_are_left_alone(
    store: Store, event: MakeEvent, other_signer: Signer, tmp_path: Path
) -> None:
    store.record.append([event(1)])
    export(store, tmp_path / "log")

    with open_store(tmp_path / "other", tmp_path / "state", other_signer) as other:
        other.record.append([event(2)])
        with pytest.raises(UsageError, match="another log"):
            export(other, tmp_path / "log")


def test_an_empty_log_is_not_exported(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is empty"):
        export(store, tmp_path / "log")
