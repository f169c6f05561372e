from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyd.errors import InputTooLarge
from policyd.pipeline.json_reader import require_shallow_json


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a":' * 100_000, b'"x"' + b"[" * 65, b"]" * 99 + b"[" * 65])
def test_deep_json_is_refused_before_anything_parses_it(content: bytes) -> None:
    with pytest.raises(InputTooLarge, match="nested more than 64 deep"):
        require_shallow_json(content)


def test_brackets_in_strings_do_not_count() -> None:
    require_shallow_json(json.dumps({"a": '\\"' + "[" * 200}).encode())


def test_the_bound_itself_is_allowed() -> None:
    require_shallow_json(b"[" * 64 + b"]" * 64)
    with pytest.raises(InputTooLarge):
        require_shallow_json(b"[[]]", 1)


@given(st.recursive(st.text(max_size=5), lambda inner: st.lists(inner, max_size=3), max_leaves=30))
def test_what_passes_is_no_deeper(value: object) -> None:
    def depth(item: object) -> int:
        return 1 + max((depth(inner) for inner in item), default=0) if isinstance(item, list) else 0

    content = json.dumps(value).encode()
    limit = depth(value)
    require_shallow_json(content, limit)
    if limit:
        with pytest.raises(InputTooLarge):
            require_shallow_json(content, limit - 1)
