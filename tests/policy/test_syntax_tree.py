"""The syntax tree is read without believing its shape."""

from __future__ import annotations

import pytest

from policyd.policy.syntax_tree import find_dotted, find_line, find_part, find_text, kind_of, list_of, walk

VAR = {"Var": {"value": "input", "span": {"line": 3}}}
DOTTED = {"RefDot": {"refr": {"RefDot": {"refr": VAR, "field": [{}, "a"]}}, "field": [{}, "b"]}}


@pytest.mark.parametrize("odd", [None, 1, "Var", [], {}, {"Var": {}, "Set": {}}])
def test_what_is_no_node_has_no_kind(odd: object) -> None:
    assert kind_of(odd) == ("", {})
    assert find_dotted(odd) is None
    assert find_text(odd) is None


def test_a_node_whose_inside_is_no_object_is_empty() -> None:
    assert kind_of({"Var": "input"}) == ("Var", {})


def test_parts_that_are_missing_are_none_on_every_step() -> None:
    assert find_part(VAR, "Var", "value") == "input"
    assert find_part(VAR, "Var", "value", "further") is None
    assert find_part(VAR, "Set", "items") is None
    assert list_of(None) == []


def test_plain_references_have_a_name_and_computed_ones_none() -> None:
    assert find_dotted(DOTTED) == "input.a.b"
    assert find_dotted({"RefBrack": {"refr": VAR, "index": VAR}}) is None
    assert find_dotted({"RefDot": {"refr": {"Call": {}}, "field": [{}, "b"]}}) is None


def test_text_is_text_alone() -> None:
    assert find_text({"String": {"value": "a"}}) == "a"
    assert find_text({"Number": {"value": "1"}}) is None


def test_a_node_without_a_line_has_that_of_its_first_part() -> None:
    assert find_line(DOTTED) == 3
    assert find_line({"RefDot": {}}) is None


def test_every_node_is_walked_and_names_of_fields_are_not() -> None:
    assert [kind for kind, _ in walk(DOTTED)] == ["RefDot", "refr", "RefDot", "refr", "Var"]
