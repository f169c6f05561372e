"""Numbers that the engines hold, calculate with or print differently: the embedded engine says so, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from policyd.adapters.engines.embedded import EmbeddedEngine
from policyd.adapters.engines.opa import OpaEngine
from policyd.adapters.engines.queries import ask_embedded, ask_opa, make_question
from policyd.errors import PolicyError
from policyd.policy.policy_set import PolicySet

MakeSet = Callable[..., PolicySet]

RULES = {
    "compares": "deny := [1] if input.document.x > 1\n\ndeny := [0] if input.document.x <= 1\n",
    "equals": "deny := [i | some i, y in input.document.list; y == input.document.x]\n",
    "prints": 'deny := [sprintf("%v", [input.document.x])]\n',
    "keys": 'deny := [k | some k, _ in {input.document.x: 1}; k == "1"]\n',
    "adds": "deny := [input.document.x + input.document.y]\n",
    "multiplies": "deny := [input.document.x * 1000]\n",
    "divides": "deny := [1 | input.document.x / 3 > 0.3]\n",
    "sums": "deny := [sum(input.document.list)]\n",
    "cuts": 'deny := [substring("abcdef", 0, input.document.x)]\n',
    "facts": 'deny := [c.text | some i, c in input.commands; input.commands[i + 1].text == "b"]\n',
}
NUMBERS = (
    *("0", "1", "-3", "7", "0.1", "0.2", "-3.1", "1.5", "2.0", "1e3", "1e-07", "123456789.125", "1000000.5"),
    *("9007199254740991", "9007199254740992", "9007199254740993", "-9007199254740993", "9223372036854775807"),
    *("9223372036854775808", "18446744073709551616", "18446744073709551617", "0.1000000000000000055", "1e300"),
)


def test_whatever_the_number_no_answer_differs_in_silence(make_set: MakeSet, opa: Path) -> None:
    policy_set = make_set(**RULES)
    entrypoints = {name: f"policyd.a.{name}.deny" for name in RULES}
    refused = dict.fromkeys(RULES, 0)
    with EmbeddedEngine(policy_set) as embedded, OpaEngine(policy_set, opa) as reference:
        for text in NUMBERS:
            document = f'{{"x": {text}, "y": 0.2, "list": [{text}, 1, 9007199254740992]}}'
            content = f'{{"document": {document}, "commands": [{{"text": "a"}}, {{"text": "b"}}]}}'.encode()
            for list_of in (content, content.replace(b"0.2", b"2").replace(b", 9007199254740992", b"")):
                ours = embedded.query(list(entrypoints.values()), list_of)
                theirs = reference.query(list(entrypoints.values()), list_of)
                for name, entrypoint in entrypoints.items():
                    if ours[entrypoint].error is not None:
                        refused[name] += "--engine opa" in str(ours[entrypoint].error)
                        continue
                    assert theirs[entrypoint].error is None, (name, text)
                    assert json.dumps(ours[entrypoint].value) == json.dumps(theirs[entrypoint].value), (name, text)

    assert refused["facts"] == 0
    assert 0 < refused["compares"] < refused["prints"] < refused["adds"] < 2 * len(NUMBERS)


def test_the_reason_names_the_number_and_only_rules_that_mind_it_fail(make_set: MakeSet) -> None:
    with EmbeddedEngine(make_set(**RULES)) as engine:
        answers = engine.query(
            ["policyd.a.adds.deny", "policyd.a.compares.deny", "policyd.a.facts.deny"],
            b'{"document": {"x": 2.5, "y": 1}, "commands": []}',
        )

    assert answers["policyd.a.adds.deny"].error == (
        "the input holds the number 2.5, which the engines calculate with differently: use `--engine opa`"
    )
    assert answers["policyd.a.compares.deny"].value == [1]
    assert answers["policyd.a.facts.deny"].value == []


def test_a_number_goes_from_one_module_to_another(make_set: MakeSet) -> None:
    """Neither module does anything alone: one reads the document, the other calculates."""
    rule = "import data.policyd.lib.doubled\n\ndeny := [doubled.of(input.document.x)]\n"
    library = b"package policyd.lib.doubled\n\nof(x) := x + x\n"

    with EmbeddedEngine(make_set({"lib/doubled.rego": library}, red=rule)) as engine:
        assert engine.query(["policyd.a.red.deny"], b'{"document": {"x": 2}}')["policyd.a.red.deny"].value == [4]
        assert engine.query(["policyd.a.red.deny"], b'{"document": {"x": 0.1}}')["policyd.a.red.deny"].error


def test_a_fraction_of_one_module_goes_to_another(make_set: MakeSet) -> None:
    rule = "import data.policyd.lib.rate\n\ndeny := [rate.of + rate.of + rate.of]\n"
    library = b"package policyd.lib.rate\n\nof := 0.1\n"

    with EmbeddedEngine(make_set({"lib/rate.rego": library}, red=rule)) as engine:
        assert "fractions" in str(engine.query(["policyd.a.red.deny"], b"{}")["policyd.a.red.deny"].error)


@pytest.mark.parametrize(
    ("query", "document", "data"),
    [
        ("input.x + input.x", b'{"x": 0.1}', {}),
        ("data.x + data.x", None, {"x": 0.1}),
        ("sum(data.x)", None, {"x": [0.1, 0.2]}),
        ('sprintf("%v", [data.x])', None, {"x": 1e-7}),
        ("data.x == data.y", None, {"x": 2**64, "y": 2**64 + 1}),
        ("input.x == input.y", b'{"x": 18446744073709551616, "y": 18446744073709551617}', {}),
        ("x := 0.1; y := 0.2; x + y", None, {}),
    ],
)
def test_a_query_of_an_author_is_held_to_the_same(
    query: str, document: bytes | None, data: dict[str, object], opa: Path
) -> None:
    question = make_question(query, {}, data, document)

    with pytest.raises(PolicyError, match="differently"):
        ask_embedded(question)
    assert ask_opa(question, opa)


def test_numbers_that_are_only_compared_may_be_fractions(opa: Path) -> None:
    question = make_question("x := input.x; x > 0.05; x == data.y", {}, {"y": 0.1}, b'{"x": 0.1}')

    assert ask_embedded(question) == ask_opa(question, opa)
