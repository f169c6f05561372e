from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyd.errors import DocumentError
from policyd.models.decision import Place
from policyd.pipeline.source_map import SourceMap, Spot
from policyd.pipeline.yaml_reader import read_yaml_with_places

DOCUMENT = """\
name: x
literal: |
  one
    two é three
folded: >-
  fold ed
  text

  more
double: "dq \\n x\\x41 \\
   yy z"
single: 'it''s  qq'
plain: multi
   lines
anchored: &anchor val
quoted: &other "q w"
alias: *anchor
list: [aa, {bb: cc}]
block:
  - dd: ee
"""


def _map(text: str = DOCUMENT) -> SourceMap:
    return read_yaml_with_places(text.encode(), file="f").source_map


def _start(place: Place) -> tuple[int, int]:
    return place.line, place.column


def _words(text: str) -> list[tuple[str, str]]:
    value = read_yaml_with_places(text.encode(), file="f").value
    assert isinstance(value, dict)
    return [(key, item) for key, item in value.items() if isinstance(item, str)]


@pytest.mark.parametrize(
    ("key", "word", "start"),
    [
        ("literal", "one", (3, 3)),
        ("literal", "two", (4, 5)),
        ("literal", "three", (4, 11)),
        ("folded", "ed", (6, 8)),
        ("folded", "text", (7, 3)),
        ("folded", "more", (9, 3)),
        ("double", "dq", (10, 10)),
        ("double", "xA", (10, 16)),
        ("double", "yy", (11, 4)),
        ("single", "qq", (12, 17)),
        ("plain", "lines", (14, 4)),
        ("anchored", "val", (15, 19)),
        ("quoted", "w", (16, 19)),
        ("alias", "val", (15, 19)),
    ],
)
def test_words_inside_scalars_have_their_own_place(key: str, word: str, start: tuple[int, int]) -> None:
    value = dict(_words(DOCUMENT))[key]
    offset = value.index(word)

    place = _map().place_inside((key,), offset, offset + len(word))

    assert _start(place) == start
    assert place.end_line == place.line


def test_scalars_stand_at_their_value_and_collections_at_their_key() -> None:
    source_map = _map()

    assert _start(source_map.place_of(("name",))) == (1, 7)
    assert _start(source_map.place_of(("name",), key=True)) == (1, 1)
    assert _start(source_map.place_of(("list",))) == (18, 1)
    assert _start(source_map.place_of(("list", 1, "bb"))) == (18, 17)
    assert _start(source_map.place_of(("block", 0))) == (20, 5)
    assert _start(source_map.place_of(("alias",))) == (17, 8)


def test_a_path_that_goes_too_deep_gets_the_nearest_enclosing_part() -> None:
    source_map = _map()

    assert source_map.place(("document", "list", 9, "x")) == source_map.place_of(("list",))
    assert source_map.place(("document", "nothing")) == source_map.place_of(())


def test_below_an_alias_is_where_its_anchor_stands() -> None:
    source_map = _map("a: &x {b: 1}\nc: *x\n")

    assert _start(source_map.place_of(("c", "b"))) == (1, 11)


def test_facts_have_the_places_they_were_given() -> None:
    source_map = _map().with_facts({"commands": [Spot(("literal",), 0, 3), Spot(("name",))]})

    first, second = source_map.place(("commands", 0, "argv", 0)), source_map.place(("commands", 1))

    assert first is not None
    assert second is not None
    assert _start(first) == (3, 3)
    assert _start(second) == (1, 7)
    assert source_map.place(("commands", -1)) is None


def test_lines_end_as_in_yaml() -> None:
    source_map = _map("a: 1\r\nb: |\r\n  x\r\n  y\r\nc: 2\r\n")

    assert _start(source_map.place_inside(("b",), 2, 3)) == (4, 3)
    assert _start(source_map.place_of(("c",))) == (5, 4)


@given(
    st.text("ab \n\t'\"\\:#-é😀", min_size=1, max_size=40),
    st.sampled_from(['"', "'", "|", ">", ""]),
)
@settings(max_examples=300, deadline=None)
def test_every_visible_character_is_found_where_it_stands(text: str, style: str) -> None:
    """Whatever the style: a character that no escape stands for is the one at its place in the file."""
    if style == '"':
        written = '"' + re.sub(r'(["\\])', r"\\\1", text).replace("\n", "\\n") + '"'
    elif style == "'":
        written = "'" + text.replace("'", "''").replace("\n", "\n\n ") + "'"
    else:
        written = style + "\n  " + text.replace("\n", "\n  ")
    document = f"k:\n  {written}\n" if style in ("", '"', "'") else f"k: {written}\n"
    try:
        read = read_yaml_with_places(document.encode(), file="f")
    except DocumentError:
        return
    value = read.value["k"] if isinstance(read.value, dict) else None
    if not isinstance(value, str):
        return
    lines = document.split("\n")

    for offset, character in enumerate(value):
        place = read.source_map.place_inside(("k",), offset, offset + 1)
        if not character.isspace() and not (style == '"' and character in '"\\'):
            assert lines[place.line - 1][place.column - 1] == character


def test_a_comment_is_found_behind_a_value_and_on_the_line_above_it() -> None:
    file = read_yaml_with_places(b"# first\na: 1\nb: 2 # behind\nc:\n  # above\n  d: 3\n  e: 4\n", file="x.yml")
    comments = {path: file.source_map.comment_on(path) for path in [("a",), ("b",), ("c", "d"), ("c", "e"), ("f",)]}
    assert comments == {("a",): "first", ("b",): "behind", ("c", "d"): "above", ("c", "e"): "", ("f",): ""}
