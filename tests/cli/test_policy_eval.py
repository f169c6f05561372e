"""`policyd policy eval` prints what `opa eval` prints, and refuses what it could answer otherwise."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from policyd.policy.query import is_same_json
from tests.cli.workshop import Said, Workshop

RULES = """package a.b

import rego.v1

x := 1

deny contains y if {
	some y in input.l
	y > 1
}

f(z) := z + 1

text := data.words[0]
"""
INPUT = {"l": [1, 2, 3], "o": {"k": {"v": "é"}}}
DATA = {"words": ["one", "two"], "a": {"c": 1}}

ALIKE = [
    "data.a.b",
    "data.a.b.deny",
    "data.a.b.text",
    "data",
    "data.nothing",
    "input",
    "x := input.l[_]; y := x + 1",
    "some x in input.l; x > 1",
    "some i, v in input.l; v == 2",
    "some x; input.l[x]",
    "input.l[i] = x",
    "input.l[_] > 1",
    "input.l[x]\ninput.l[x] > 1",
    "[x | x := input.l[_]]; data.a.b.x",
    "{1, 2}",
    "1 == 2",
    "1 == 2; true",
    "false",
    "null; 1",
    "not false",
    "not data.a.b.q",
    "every x in input.l { x > 0 }; true",
    "[x, y] := [1, 2]",
    "x := 1 # a comment",
    "x := 1; x == 2",
    "x := input.l[_]; x > 5",
    'data.a.b.deny with input as {"l": [9]}',
    "x := data.a.b.x with data.a.b.x as 5",
    "data.a.b.f(1)",
    "data.a.b[x]",
    "data[x].b.x",
    'input.o.k.v == "é"; "é"',
    '"a"',
    "`raw`",
    '{"b": {[1]: 2}}',
    "x := set()",
    "x := 5\n-1 < 3",
]
REFUSED = [
    ("1/0", "divide by zero"),
    ("x", "used before it is bound"),
    ("a b", "does not compile"),
    ("", "empty"),
    ("# only a comment", "empty"),
    ('http.send({"method": "get", "url": "http://127.0.0.1"})', "http.send may not be called by any policy"),
    ("opa.runtime()", "may not be called"),
    ("time.now_ns()", "may not be called"),
    ("true } else := 1 if { false", "no query"),
    ("true }\nother := 1 if { true", "no query"),
    ("import data.a\nx = 1", "does not compile"),
    ("data.a.b.x with http.send as 1", "may not replace"),
    ("some q; 1 == 1", "declared and not used"),
    ("x := 1; x := 2", "can't be evaluated"),
    ("[" * 30 + "1" + "]" * 30, "nested"),
    ('regex.match(`\\w`, "é")', "differently"),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("eval")
    (folder / "a.rego").write_text(RULES)
    (folder / "data.json").write_text(json.dumps(DATA))
    (folder / "input.json").write_text(json.dumps(INPUT))
    return [
        *("--policy", str(folder / "a.rego")),
        *("--data", str(folder / "data.json")),
        *("--input", str(folder / "input.json")),
    ]


def opa_eval(opa: Path, files: list[str], query: str) -> Any:
    named = ["--data" if argument == "--policy" else argument for argument in files]
    done = subprocess.run(
        [opa, "eval", "--format=json", "--strict-builtin-errors", "--stdin", *named],
        input=query,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("query", ALIKE)
def test_the_embedded_engine_prints_what_opa_eval_prints(
    shop: Workshop, files: list[str], opa: Path, query: str
) -> None:
    said = shop.call("policy", "eval", *files, query).require(0)

    assert said.err == ""
    assert is_same_json(said.json, opa_eval(opa, files, query)), said.out


@pytest.mark.parametrize(("query", "words"), REFUSED, ids=[query[:40] for query, _ in REFUSED])
def test_an_error_or_a_refusal_exits_three_with_one_line(
    shop: Workshop, files: list[str], query: str, words: str
) -> None:
    require_one_line(shop.call("policy", "eval", *files, query), 3, words)


def test_opa_is_asked_where_it_is_wanted(opa_shop: Workshop, files: list[str], opa: Path) -> None:
    query = "x := input.l[_]; x > 1"

    for engine in ("opa", "both"):
        said = opa_shop.call("policy", "eval", *files, "--engine", engine, query).require(0)
        assert is_same_json(said.json, opa_eval(opa, files, query))


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ('http.send({"method": "get", "url": "http://127.0.0.1"})', "http.send"),
        ("opa.runtime()", "opa.runtime"),
        ("1/0", "divide by zero"),
        ("a b", "unsafe"),
        ("--help", "unexpected"),
    ],
)
def test_opa_is_held_to_the_same_list_and_to_strict_errors(
    opa_shop: Workshop, files: list[str], query: str, words: str
) -> None:
    require_one_line(opa_shop.call("policy", "eval", *files, "--engine", "opa", "--", query), 3, words)


def test_without_input_input_is_undefined(shop: Workshop) -> None:
    assert shop.call("policy", "eval", "input").require(0).json == {}
    assert shop.call("policy", "eval", "not input").require(0).json["result"]


@pytest.mark.parametrize(
    ("data", "words"),
    [({"a": {"b": {"x": 2}}}, "data.a.b.x"), ({"a": {"b": 3}}, "data.a.b"), ({"a": 3}, "data.a")],
)
def test_data_in_the_place_of_a_rule_is_refused(
    shop: Workshop, files: list[str], tmp_path: Path, data: object, words: str
) -> None:
    """regorus would let the document silence the rule; OPA refuses it."""
    (tmp_path / "data.json").write_text(json.dumps(data))

    said = shop.call("policy", "eval", *files[:2], "--data", tmp_path / "data.json", "data.a.b.x")

    require_one_line(said, 3, words)


def test_a_policy_that_calls_out_is_refused_with_its_line(shop: Workshop, tmp_path: Path) -> None:
    rego = tmp_path / "p.rego"
    rego.write_text('package p\n\nx := http.send({"method": "get", "url": "http://127.0.0.1"})\n')

    require_one_line(shop.call("policy", "eval", "--policy", rego, "data.p.x"), 3, f"{rego}:3", "http.send")


@pytest.mark.parametrize("content", [b"{", b'{"a": 1, "a": 2}', b"[" * 100])
def test_an_input_that_is_no_json_can_not_be_used(shop: Workshop, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "input.json").write_bytes(content)

    require_one_line(shop.call("policy", "eval", "--input", tmp_path / "input.json", "input"), 2, "input.json")


def require_one_line(said: Said, code: int, *texts: str) -> None:
    said.require(code)
    assert said.out == ""
    [line] = said.err.splitlines()
    assert line.startswith("error: ")
    for text in texts:
        assert text in line, line
