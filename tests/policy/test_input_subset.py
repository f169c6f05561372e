"""Numbers in JSON that the engines carry differently: found wherever they stand, and never in text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyd.policy.input_subset import FoundNumber, Kind, find_number


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("0", Kind.PLAIN),
        ("7", Kind.PLAIN),
        ("-7", Kind.PLAIN),
        ("123456789012345", Kind.PLAIN),
        ("9007199254740991", Kind.PLAIN),
        ("-9007199254740991", Kind.PLAIN),
        ("0.1", Kind.FRACTION),
        ("-3.1", Kind.FRACTION),
        ("0.0001", Kind.FRACTION),
        ("999999.5", Kind.FRACTION),
        ("83.33333333333333", Kind.FRACTION),
        ("-0", Kind.ODD),
        ("1.0", Kind.ODD),
        ("3.10", Kind.ODD),
        ("1e3", Kind.ODD),
        ("1E+3", Kind.ODD),
        ("1e-07", Kind.ODD),
        ("0.00001", Kind.ODD),
        ("1000000.5", Kind.ODD),
        ("9007199254740992", Kind.LARGE),
        ("-9007199254740993", Kind.LARGE),
        ("12345678901234567890123", Kind.LARGE),
        ("1e400", Kind.LARGE),
        ("1e21", Kind.LARGE),
        ("0.1000000000000000055", Kind.LARGE),
        ("9" * 5000, Kind.LARGE),
        ("0." + "1" * 5000, Kind.LARGE),
    ],
)
@pytest.mark.parametrize("around", ["{}", '{{"a": {}}}', '[1, "0.5", {}, 2]', '{{"\\"1e9": [{}]}}', " {} "])
def test_each_number_has_its_kind_wherever_it_stands(text: str, kind: Kind, around: str) -> None:
    found = find_number(around.format(text).encode())

    assert found == (None if kind is Kind.PLAIN else FoundNumber(text[:40], kind))


def test_text_holds_no_number() -> None:
    document = {"0.1": '"1e400', "a": "\\", "b": "-0", "version": "1.0", "é": '\\"0.5'}

    assert find_number(json.dumps(document).encode()) is None
    assert find_number(json.dumps(document, ensure_ascii=False).encode()) is None


def test_the_one_that_differs_most_is_named() -> None:
    assert find_number(b"[0.5, 1.0, 0.25]") == FoundNumber("1.0", Kind.ODD)
    assert find_number(b"[0.5, 1e400, 1.0]") == FoundNumber("1e400", Kind.LARGE)
    assert find_number(b"[0.5, 0.25]") == FoundNumber("0.5", Kind.FRACTION)


@pytest.mark.parametrize("content", [b"", b'"', b'"0.5', b"[1.", b"1.2.3", b"--1", b"1e", b"\xff0.5", b'"\\'])
def test_what_is_no_json_ends(content: bytes) -> None:
    find_number(content)


@given(st.recursive(st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(), st.lists))
def test_what_is_not_found_is_whole_and_small(value: object) -> None:
    found = find_number(json.dumps(value).encode())

    numbers: list[int | float] = []

    def collect(part: object) -> None:
        if isinstance(part, list):
            for each in part:
                collect(each)
        elif isinstance(part, int | float):
            numbers.append(part)

    collect(value)
    plain = all(isinstance(number, int) and abs(number) < 2**53 for number in numbers)
    assert (found is None) == plain


def test_a_long_document_is_read_once() -> None:
    """Seconds and not hours: every start matches at once."""
    assert find_number(b'["' + b'\\"' * 1_000_000) is None
    assert find_number(b"[" + b"1," * 1_000_000) is None
    assert find_number(b"9" * 1_000_000) is not None
