from __future__ import annotations

import pytest

from policyd.errors import PolicyError
from policyd.policy.query import (
    Expression,
    Query,
    find_data_conflict,
    is_same_json,
    read_query,
    read_results,
    unwrap_place,
    wrap_query,
)

QUERY = Query("", "", (Expression("1", 1, 1, "c"),), ())


def test_places_are_those_in_the_query() -> None:
    assert unwrap_place("query:4:7") == "query:1:7"
    assert unwrap_place("query:5") == "query:2"
    assert unwrap_place("a.rego:4") == "a.rego:4"


@pytest.mark.parametrize("text", ["", " \n", "policyd_captured_0 == 1"])
def test_an_empty_query_and_one_with_our_names_are_refused(text: str) -> None:
    with pytest.raises(PolicyError, match="empty or has a name"):
        wrap_query(text)


def test_a_tree_of_an_unknown_shape_is_refused() -> None:
    with pytest.raises(PolicyError, match="no query"):
        read_query("true", {"ast": {"rules": []}})
    with pytest.raises(PolicyError, match="no query"):
        read_query("true", {})


@pytest.mark.parametrize("value", [None, {}, [1], [{"v": [1, 2], "b": {}}], [{"v": [1]}], [{"v": 1, "b": {}}]])
def test_an_answer_of_another_shape_is_an_error_and_never_undefined(value: object) -> None:
    with pytest.raises(PolicyError, match="no known shape"):
        read_results(QUERY, value)


def test_no_solution_is_no_result() -> None:
    assert read_results(QUERY, []) == {}


def test_bindings_are_left_out_where_there_are_none() -> None:
    assert read_results(QUERY, [{"v": [1], "b": {}}]) == {
        "result": [{"expressions": [{"value": 1, "text": "1", "location": {"row": 1, "col": 1}}]}]
    }


def test_one_is_not_true() -> None:
    assert is_same_json({"a": [1, "x", None]}, {"a": [1.0, "x", None]})
    for one, other in ((1, True), (0, False), ([1], [1, 2]), ({"a": 1}, {"b": 1}), (None, False), ("1", 1)):
        assert not is_same_json([one], [other])


@pytest.mark.parametrize(
    ("data", "conflict"),
    [
        ({}, None),
        ({"a": {}}, None),
        ({"a": {"b": {"other": 1}}}, None),
        ({"a": {"c": 1}}, None),
        ({"a": {"b": {"deny": []}}}, "data.a.b.deny"),
        ({"a": {"b": {"deny": None}}}, "data.a.b.deny"),
        ({"a": {"b": []}}, "data.a.b"),
        ({"a": False}, "data.a"),
    ],
)
def test_data_must_not_stand_where_a_rule_stands(data: object, conflict: str | None) -> None:
    assert find_data_conflict(["a.b"], {"a.b": ["deny"]}, data) == conflict
