"""Both engines answer alike each builtin and shape that the embedded engine may be asked, odd arguments included."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from policyd.adapters.engines.embedded import EmbeddedEngine
from policyd.adapters.engines.opa import OpaEngine
from policyd.adapters.library import library_builtins
from policyd.policy.policy_set import read_policy_set

#: One expression or more for each builtin that the embedded engine may answer, with odd arguments.
PROBES = {
    "abs": ["abs(-1)", "abs(1.5)"],
    "array.concat": ["array.concat([1], [2])", "array.concat([], [])"],
    "array.reverse": ["array.reverse([1, 2])", "array.reverse([])"],
    "array.slice": ["array.slice([1, 2, 3], -1, 2)", "array.slice([1, 2, 3], 2, 9)", "array.slice([1], 3, 1)"],
    "base64.encode": ['base64.encode("a")', 'base64.encode("é")', 'base64.encode("")'],
    "ceil": ["ceil(1.2)", "ceil(-1.2)", "ceil(1)"],
    "concat": ['concat(",", ["a", "é"])', 'concat(",", {"b", "a"})', 'concat(",", [])', 'concat(",", input.numbers)'],
    "contains": ['contains("abc", "")', 'contains("é", "e")', 'contains("", "a")'],
    "count": ['count("é☃")', "count([])", 'count({"a": 1})', "count({1, 1})", "count(input.number)"],
    "endswith": ['endswith("abc", "c")', 'endswith("abc", "")'],
    "floor": ["floor(1.9)", "floor(-1.2)"],
    "format_int": ["format_int(255, 16)", "format_int(-5, 2)", "format_int(8, 8)", "format_int(9, 10)"],
    "bits.and": ["bits.and(6, 3)", "bits.and(-1, 5)"],
    "bits.negate": ["bits.negate(0)", "bits.negate(-7)"],
    "bits.or": ["bits.or(6, 3)", "bits.or(-8, 5)"],
    "bits.xor": ["bits.xor(6, 3)", "bits.xor(-8, 5)"],
    "base64url.encode": ['base64url.encode("a?>")', 'base64url.encode("é")', 'base64url.encode("")'],
    "graph.reachable": [
        'graph.reachable({"a": ["b"], "b": ["a"], "c": []}, ["a"])',
        'graph.reachable({"a": {"b"}}, {"a", "x"})',
        'graph.reachable({}, ["a"])',
    ],
    "hex.decode": ['hex.decode("6162")', 'hex.decode("")', 'hex.decode("6")', 'hex.decode("C3a9")'],
    "hex.encode": ['hex.encode("é")', 'hex.encode("")'],
    "numbers.range_step": ["numbers.range_step(0, 9, 3)", "numbers.range_step(9, 0, 4)", "numbers.range_step(1, 2, 0)"],
    "object.union_n": ['object.union_n([{"a": {"b": 1}}, {"a": {"c": 2}}, {"a": 3}])', "object.union_n([])"],
    "semver.compare": [
        'semver.compare("1.0.0", "1.0.0-a.1")',
        'semver.compare("1.0.0-a.2", "1.0.0-a.10")',
        'semver.compare("1.0.0+a", "1.0.0+b")',
        'semver.compare("1.0", "1.0.0")',
    ],
    "strings.reverse": ['strings.reverse("aé☃")', 'strings.reverse("e\\u0301")'],
    "trim_space": ['trim_space(" \\t\\n a b\\u00a0")', 'trim_space("\\u0085a\\u200b")', 'trim_space("")'],
    "indexof": ['indexof("éa", "a")', 'indexof("a", "z")', 'indexof("abcabc", "c")'],
    "intersection": ["intersection({{1, 2}, {2}})", "intersection({{1}, {2}})"],
    "is_array": ["is_array([])", "is_array({1})", "is_array(input.nothing)"],
    "is_boolean": ["is_boolean(false)", "is_boolean(0)"],
    "is_null": ["is_null(null)", "is_null(false)", "is_null(input.nothing)"],
    "is_number": ["is_number(1.5)", 'is_number("1")'],
    "is_object": ["is_object({})", "is_object([])"],
    "is_set": ["is_set({1})", "is_set([])"],
    "is_string": ['is_string("")', "is_string(1)", "is_string(input.nothing)"],
    "max": ["max([1, 3, 2])", "max([])", 'max(["a", 1])', "max({1, 2})"],
    "min": ["min([3, 1])", "min([])", "min({[1], 2})"],
    "numbers.range": ["numbers.range(1, 3)", "numbers.range(3, 1)", "numbers.range(0, 0)"],
    "object.filter": ['object.filter({"a": 1, "b": 2}, ["a"])', 'object.filter({"a": 1}, {"b"})'],
    "object.get": [
        'object.get({"a": null}, "a", 1)',
        'object.get({"a": {"b": 1}}, ["a", "c"], 2)',
        'object.get({"a": 1}, [], 2)',
        'object.get({"a": [1]}, ["a", 0], 2)',
        'object.get({"a": "x"}, ["a", "b"], 2)',
    ],
    "object.keys": ['object.keys({"a": 1})', "object.keys({})"],
    "object.remove": ['object.remove({"a": 1, "b": 2}, ["a"])', 'object.remove({"a": 1}, {"c"})'],
    "object.union": ['object.union({"a": {"b": 1}}, {"a": {"c": 1}})', 'object.union({"a": 1}, {"a": {"c": 1}})'],
    "regex.find_all_string_submatch_n": [
        'regex.find_all_string_submatch_n("(a)(b)?", "ab a", -1)',
        'regex.find_all_string_submatch_n("(é|a)", "a", 1)'.replace("é|", ""),
        'regex.find_all_string_submatch_n("a", "b", -1)',
        'regex.find_all_string_submatch_n("", "ab", -1)',
    ],
    "regex.find_n": [
        'regex.find_n("[a-z]+", "ab cé", -1)',
        'regex.find_n("a", "aaa", 2)',
        'regex.find_n("a*", "baab", -1)',
    ],
    "regex.match": [
        'regex.match("^a.c$", "aéc")',
        'regex.match("a$", "a\\n")',
        'regex.match(".", "\\n")',
        'regex.match("^[^a]+$", "\\n")',
        'regex.match("(?i)k", "\\u212a")',
        'regex.match("(?i)s", "\\u017f")',
        'regex.match("a{2,3}", "aa")',
        'regex.match("", "")',
    ],
    "replace": ['replace("aaa", "a", "b")', 'replace("é", "é", "")'],
    "round": ["round(2.5)", "round(-2.5)", "round(1.4)"],
    "split": ['split("a,b,", ",")', 'split("", ",")', 'split("éab", "")'],
    "sprintf": [
        'sprintf("%s|%d|%v", ["é", 5, [1, "a", null, true, {"k": 1.5}]])',
        'sprintf("%v %v", [1.5, ["b", "a"]])',
        'sprintf("%v%%", [input.large])',
        'sprintf("%v", [3.25])',
    ],
    "startswith": ['startswith("abc", "")', 'startswith("é", "e")'],
    "strings.any_prefix_match": [
        'strings.any_prefix_match("abc", ["x", "a"])',
        'strings.any_prefix_match(["abc"], {"x"})',
    ],
    "strings.any_suffix_match": ['strings.any_suffix_match("abc", ["x", "c"])', "strings.any_suffix_match([], [])"],
    "substring": [
        'substring("éabc", 1, 2)',
        'substring("abc", 1, -1)',
        'substring("abc", 5, 2)',
        'substring("abc", -1, 2)',
    ],
    "sum": ["sum([1, 2])", "sum([])", "sum({1, 2})"],
    "trim": ['trim("  a ", " ")', 'trim("éaé", "é")', 'trim("abc", "")'],
    "trim_left": ['trim_left("aab", "a")', 'trim_left("", "a")'],
    "trim_prefix": ['trim_prefix("abc", "a")', 'trim_prefix("abc", "b")'],
    "trim_right": ['trim_right("baa", "a")', 'trim_right("é", "é")'],
    "trim_suffix": ['trim_suffix("abc", "bc")', 'trim_suffix("abc", "")'],
    "type_name": [
        "type_name({1})",
        "type_name({})",
        "type_name(1)",
        "type_name(null)",
        'type_name("")',
        "type_name([])",
    ],
    "union": ["union({{1}, {2}})", "union({set()})"],
}
#: What is no builtin call: operators and shapes that rules use.
SHAPES = [
    "1 == input.whole",
    "6 / 2 == 3",
    "7 / 2 == 3.5",
    "1 / 3 > 0.333",
    "5 % 2",
    "3 * 1000",
    "count([]) - 5",
    'sprintf("%v", [count([]) - 5])',
    "{1, 2} - {2}",
    "{1} | {2}",
    "{1} & {1, 2}",
    '"a" < "b"',
    '"a" < 1',
    "[1] < [2]",
    "1 in {input.whole}",
    "[x | some x in [3, 1]]",
    "{k: v | some k, v in input.object}",
    "input.list[5]",
    "input.text.nothing",
    "input.list[input.text]",
    "input.nothing == 1",
    "input.nothing != 1",
    "[v | v := input.object[_]]",
]


HEADER = """# METADATA
# title: t
# description: d
# custom:
#   id: a.{name}
#   severity: low
#   gate: pipeline
#   controls: [X]
#   remediation: r
package policyd.a.{name}

"""


@pytest.fixture(scope="module")
def probes(opa: Path) -> Iterator[tuple[list[tuple[str, str]], EmbeddedEngine, OpaEngine]]:
    """Every probe as a rule of its own, in both engines."""
    expressions = [(name, expression) for name, listed in PROBES.items() for expression in listed]
    expressions += [("", expression) for expression in SHAPES]
    # A module that calculates may hold no fractions, so those stand in one of their own.
    modules = {"probes": "", "fractions": ""}
    for number, (_, expression) in enumerate(expressions):
        modules[package_of(expression)] += f"p{number} := y if {{\n\ty := {expression}\n}}\n"
    policy_set = read_policy_set(
        {f"{name}.rego": (HEADER.format(name=name) + rules).encode() for name, rules in modules.items()}, "probes"
    )
    with EmbeddedEngine(policy_set) as ours, OpaEngine(policy_set, opa) as theirs:
        yield expressions, ours, theirs


def package_of(expression: str) -> str:
    return "fractions" if re.search(r"[0-9]\.[0-9]", expression) else "probes"


def test_every_builtin_the_embedded_engine_answers_is_probed() -> None:
    assert set(PROBES) == library_builtins().alike


def test_every_probe_is_answered_alike(probes: tuple[list[tuple[str, str]], EmbeddedEngine, OpaEngine]) -> None:
    expressions, ours, theirs = probes
    document = json.dumps(
        {
            "object": {"b": 1, "a": 2},
            "list": [1, 2],
            "text": "zz",
            "numbers": [1],
            "number": 5,
            "large": 123456789012345,
            "whole": 1,
        }
    ).encode()
    entrypoints = [
        f"policyd.a.{package_of(expression)}.p{number}" for number, (_, expression) in enumerate(expressions)
    ]

    one, other = ours.query(entrypoints, document), theirs.query(entrypoints, document)

    different = []
    for (_, expression), entrypoint in zip(expressions, entrypoints, strict=True):
        left, right = one[entrypoint], other[entrypoint]
        # The words of an error may differ; that there is one may not. `1` and `1.0` are two answers.
        if (left.error is None) != (right.error is None) or repr(left.value) != repr(right.value):
            different.append((expression, left, right))
    assert different == []
