"""Parts of an input by digest: one digest, however it is come by."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyd.models.canonical import canonical_json, sha256_hex
from policyd.policy.parts import part_sha256

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**54), 2**54) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(VALUES)
def test_the_digest_is_that_of_the_canonical_bytes(value: object) -> None:
    part = json.loads(json.dumps(value))
    try:
        expected = sha256_hex(canonical_json(part))
    except ValueError:
        expected = None  # a number beyond 2**53, or one that is none

    assert part_sha256({"part": part}, ("part",)) == expected


@pytest.mark.parametrize(
    "part",
    [
        {"b": 1, "a": [True, None, 'x\n\u007f\u0001\\"']},
        {"é": 1, "z": 2},
        {"\U0001f600": 1, "\ufb33": 2},
        1.0,
        1e21,
        "",
        [],
    ],
)
def test_plain_and_other_parts_are_written_alike(part: object) -> None:
    assert part_sha256([part], (0,)) == sha256_hex(canonical_json(part))
