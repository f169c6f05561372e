from __future__ import annotations

import json
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyd.errors import DocumentError, InputTooLarge, PolicydError, SettingsError
from policyd.models.base import Model
from policyd.models.strict_json import json_depth, read_json, read_model


def _read(content: bytes) -> object:
    return read_json(content, where="file.json", max_bytes=10_000_000, max_depth=64)


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"{}", {}),
        (b' [1, -2.5, 1e3, "\\u00e9", true, null] ', [1, -2.5, 1000.0, "é", True, None]),
        ('"\\ud83d\\ude00 ü"'.encode(), "😀 ü"),
        (b'{"a": {"a": 1}}', {"a": {"a": 1}}),
        (b'"[[[[{{{{\\"[["', '[[[[{{{{"[['),
    ],
)
def test_strict_json_is_read(content: bytes, value: object) -> None:
    assert _read(content) == value


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{} {}",
        b"{'a': 1}",
        b"[1,]",
        b"// comment\n1",
        b'{"a": 1, "a": 1}',
        b'[{"a": {"b": 1, "b": 2}}]',
        b'{"a": 1, "\\u0061": 2}',
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"1" * 5000,
        b'"\\ud800"',
        b'["\\udc00x"]',
        b"\xef\xbb\xbf{}",
        b'"\xff"',
        '"a"'.encode("utf-16"),
        b'"\x00"',
    ],
    ids=repr,
)
def test_what_two_parsers_may_read_differently_is_refused(content: bytes) -> None:
    with pytest.raises(DocumentError) as caught:
        _read(content)

    assert caught.value.where.startswith("file.json")
    assert caught.value.fix


def test_the_place_of_a_mistake_is_named() -> None:
    with pytest.raises(DocumentError) as caught:
        _read(b'{\n "a": x}')

    assert caught.value.where == "file.json, line 2, column 7"


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_depth_is_bounded_before_parsing(opening: bytes) -> None:
    for levels in (65, 100_000):
        with pytest.raises(InputTooLarge):
            _read(opening * levels)


def test_closing_brackets_ahead_hide_no_depth() -> None:
    with pytest.raises(InputTooLarge):
        _read(b"]" * 1000 + b"[" * 65)


def test_the_limits_themselves_are_allowed() -> None:
    content = b"[" * 64 + b"]" * 64

    assert read_json(content, where="x", max_bytes=128, max_depth=64)
    with pytest.raises(InputTooLarge):
        read_json(content, where="x", max_bytes=127, max_depth=64)


@pytest.mark.parametrize("content", [b'"' + b'\\"' * 500_000, b'"' * 999_999, b"\\" * 1_000_000, b'\\"' * 500_000])
def test_hostile_quotes_cost_no_more_than_reading_them(content: bytes) -> None:
    """A pattern that starts again at each quote would take hours for these."""
    started = time.process_time()

    with pytest.raises(DocumentError):
        _read(content)

    assert time.process_time() - started < 5


@given(st.binary() | st.text().map(str.encode))
def test_any_input_gives_a_value_or_an_error_of_ours(content: bytes) -> None:
    try:
        value = _read(content)
    except PolicydError:
        return
    assert json.loads(content) == value


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(_VALUES)
def test_what_json_writes_is_read_back(value: object) -> None:
    assert read_json(json.dumps(value).encode(), where="x", max_bytes=10**7, max_depth=10**4) == value


@given(_VALUES)
def test_depth_counts_what_a_parser_would_meet(value: object) -> None:
    def depth(part: object) -> int:
        inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else None
        return 0 if inner is None else 1 + max(map(depth, inner), default=0)

    assert json_depth(json.dumps(value).encode()) == depth(value)


@pytest.mark.parametrize(
    ("content", "depth"),
    [
        (rb'["[", "]"]', 1),
        (rb'["\"[[", []]', 2),
        (rb'["\\", [[]]]', 3),  # the quote after two backslashes ends the string
        (rb'["\\\"[", []]', 2),
        (rb'["","[","",[]]', 2),
        (rb'{"[":"]","a":["\n[\\",{}]}', 3),
        (b"]]]][[", 2),
    ],
)
def test_depth_is_counted_outside_of_strings(content: bytes, depth: int) -> None:
    assert json_depth(content) == depth


@pytest.mark.parametrize("part", [b'{"a":', b'"["', b'"\\"', b'\\\\"', b'"a",'])
def test_depth_is_counted_in_the_memory_of_a_few_copies(part: bytes) -> None:
    content = part * 200_000
    tracemalloc.start()
    try:
        json_depth(content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 3 * len(content)


class Example(Model):
    name: str
    numbers: tuple[int, ...] = ()


def _read_example(content: bytes, error: type[PolicydError] = DocumentError) -> Example:
    return read_model(Example, content, where="x", max_bytes=1000, max_depth=8, error=error)


def test_a_model_is_read_from_the_bytes_that_were_checked() -> None:
    assert _read_example(b'{"name": "a", "numbers": [1, 2]}') == Example(name="a", numbers=(1, 2))


@pytest.mark.parametrize(
    "content", [b"{}", b'{"name": 1}', b'{"name": "a", "more": 1}', b'{"name": "a", "numbers": ["1"]}']
)
def test_what_does_not_fit_a_model_is_an_error_with_the_field(content: bytes) -> None:
    with pytest.raises(DocumentError, match="does not fit"):
        _read_example(content)
    with pytest.raises(SettingsError):
        _read_example(content, SettingsError)


def test_a_key_given_twice_never_reaches_the_model() -> None:
    with pytest.raises(DocumentError, match="twice"):
        _read_example(b'{"name": "a", "name": "b"}')
