from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyd.errors import DocumentError
from policyd.record.tiles import Tile, list_tiles, read_bundle, render_bundle


def test_paths_are_those_of_the_specification() -> None:
    """C2SP tlog-tiles, "Merkle Tree": index 1234067."""
    assert Tile(0, 1234067, 256).path == "tile/0/x001/x234/067"
    assert Tile(0, 1234067, 8).path == "tile/0/x001/x234/067.p/8"
    assert Tile(2, 0, 256).path == "tile/2/000"
    assert Tile(0, 1000, 1).entries_path == "tile/entries/x001/000.p/1"


def test_a_tree_of_70_000_has_the_tiles_the_specification_lists() -> None:
    """C2SP tlog-tiles, "Partial Tiles"."""
    tiles = list(list_tiles(70_000))

    assert [tile for tile in tiles if tile.level == 0] == [Tile(0, n, 256) for n in range(273)] + [Tile(0, 273, 112)]
    assert [tile for tile in tiles if tile.level > 0] == [Tile(1, 0, 256), Tile(1, 1, 17), Tile(2, 0, 1)]


def test_a_full_tile_is_hashed_into_the_level_above() -> None:
    assert list(list_tiles(256)) == [Tile(0, 0, 256), Tile(1, 0, 1)]
    assert list(list_tiles(0)) == []


def test_a_tile_names_the_subtrees_it_holds() -> None:
    assert Tile(0, 1, 2).nodes() == ((0, 256), (0, 257))
    assert Tile(1, 0, 2).nodes() == ((8, 0), (8, 1))


@given(st.lists(st.binary(max_size=300), max_size=256))
def test_a_bundle_gives_its_entries_back(entries: list[bytes]) -> None:
    assert read_bundle(render_bundle(entries)) == tuple(entries)


def test_lengths_are_big_endian() -> None:
    assert render_bundle([b"ab", b""]) == b"\x00\x02ab\x00\x00"


@pytest.mark.parametrize("content", [b"\x00", b"\x00\x02a", b"\x00\x00" * 257])
def test_what_is_no_bundle_is_refused(content: bytes) -> None:
    with pytest.raises(DocumentError):
        read_bundle(content)


def test_an_entry_too_long_for_a_bundle_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        render_bundle([bytes(65_536)])
