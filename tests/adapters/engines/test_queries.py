"""Queries of authors, under the limits of the rule process."""

from __future__ import annotations

import pytest

from policyd.adapters.engines.queries import ask_embedded, make_question
from policyd.errors import EngineError, PolicyError

ENDLESS = "count([1 | some a in numbers.range(1, 30000); some b in numbers.range(1, 30000); a == b])"


@pytest.mark.parametrize(
    "modules",
    [{}, {"p.rego": f"package p\n\nx := {ENDLESS}\n".encode()}],
    ids=["in the query", "in a policy"],
)
def test_a_query_that_takes_for_ever_ends(modules: dict[str, bytes]) -> None:
    question = make_question("data.p.x" if modules else ENDLESS, modules, {}, None)

    with pytest.raises(EngineError, match="in the query"):
        ask_embedded(question, timeout_seconds=1)


def test_a_query_that_takes_all_memory_ends() -> None:
    question = make_question(
        "x := [[a, b] | some a in numbers.range(1, 3000); some b in numbers.range(1, 3000)]", {}, {}, None
    )

    with pytest.raises((EngineError, PolicyError)):
        ask_embedded(question, timeout_seconds=5)


def test_a_query_is_bounded_before_it_is_parsed() -> None:
    with pytest.raises(PolicyError, match="too long"):
        make_question("1 + " * 40_000 + "1", {}, {}, None)
    with pytest.raises(PolicyError, match="nested"):
        make_question("[" * 40 + "]" * 40, {}, {}, None)
    with pytest.raises(PolicyError, match="can hide"):
        make_question("true # \u202e", {}, {}, None)
    with pytest.raises(PolicyError, match="UTF-8"):
        make_question("\udc80", {}, {}, None)


def test_a_policy_file_can_not_stand_in_for_the_query() -> None:
    with pytest.raises(PolicyError, match="may not be called"):
        make_question("true", {"query": b"package query"}, {}, None)


def test_a_policy_can_not_reach_the_query_package() -> None:
    """What is evaluated is an expression of its own, in no package that a module could add to."""
    module = b"package policyd_query\n\nasked := 7\n\nother := 1\n"

    answer = ask_embedded(make_question("x := 1", {"p.rego": module}, {}, None))

    assert answer["result"][0]["bindings"] == {"x": 1}  # type: ignore[index]
