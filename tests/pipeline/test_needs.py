"""The order in which stages are read."""

from __future__ import annotations

from policyd.pipeline.needs import in_order


def test_each_comes_after_those_it_needs() -> None:
    assert in_order({"deploy": ["build", "test"], "test": ["build"], "build": []}) == ["build", "test", "deploy"]


def test_the_order_of_the_file_stays_where_needs_leave_a_choice() -> None:
    assert in_order({"c": [], "a": [], "b": []}) == ["c", "a", "b"]


def test_a_circle_ends_and_leaves_nobody_out() -> None:
    assert sorted(in_order({"a": ["b"], "b": ["a"], "c": ["c"]})) == ["a", "b", "c"]


def test_a_long_row_is_no_deep_recursion() -> None:
    needs = {f"s{index}": [f"s{index + 1}"] for index in range(5000)} | {"s5000": []}

    assert in_order(needs)[0] == "s5000"
