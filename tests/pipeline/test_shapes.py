"""Shapes that values of a file have to have."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from policyd.errors import DocumentError
from policyd.models.base import JsonPath
from policyd.pipeline.shapes import Shapes
from policyd.pipeline.source_map import SourceMap
from policyd.pipeline.yaml_reader import read_yaml_with_places

FILE = b"mapping:\n  a: 1\nlist: [x]\ntext: hello\nversion: 1.10\nnothing:\n"
DOCUMENT = read_yaml_with_places(FILE, file="ci.yml")


class _Reader(Shapes[JsonPath]):
    system = "The system"

    def locate(self, at: JsonPath) -> tuple[SourceMap, JsonPath]:
        return DOCUMENT.source_map, at


READER = _Reader()


def _value(name: str) -> object:
    assert isinstance(DOCUMENT.value, dict)
    return DOCUMENT.value[name]


def test_a_value_of_its_shape_is_returned() -> None:
    assert READER.require_mapping(_value("mapping"), ("mapping",), "it") == {"a": 1}
    assert READER.require_list(_value("list"), ("list",), "it") == ["x"]
    assert READER.require_text(_value("text"), ("text",), "it") == "hello"


def test_nothing_at_all_is_empty() -> None:
    assert READER.require_mapping(_value("nothing"), ("nothing",), "it") == {}
    assert READER.require_list(_value("nothing"), ("nothing",), "it") == []
    assert READER.require_text(_value("nothing"), ("nothing",), "it") == ""


def test_a_number_is_a_text_of_the_characters_it_is_written_with() -> None:
    assert READER.require_text(_value("version"), ("version",), "it") == "1.10"


@pytest.mark.parametrize(
    ("require", "name", "cause", "where"),
    [
        (READER.require_mapping, "list", "`x` is a list, not a mapping", "ci.yml:3:1"),
        (READER.require_mapping, "text", "`x` is 'hello', not a mapping", "ci.yml:4:7"),
        (READER.require_list, "mapping", "`x` is a mapping, not a list", "ci.yml:1:1"),
        (READER.require_list, "version", "`x` is 1.1, not a list", "ci.yml:5:10"),
        (READER.require_text, "list", "`x` is a list, not a text", "ci.yml:3:1"),
        (READER.require_text, "mapping", "`x` is a mapping, not a text", "ci.yml:1:1"),
    ],
    ids=lambda case: case if isinstance(case, str) else None,
)
def test_another_shape_is_refused_where_it_stands(
    require: Callable[[object, JsonPath, str], object], name: str, cause: str, where: str
) -> None:
    with pytest.raises(DocumentError, match="not a") as refused:
        require(_value(name), (name,), "`x`")

    assert (str(refused.value), refused.value.where) == (cause, where)
    assert refused.value.fix == "correct the file; The system would refuse it too"
