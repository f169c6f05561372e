"""What policies may use, on syntax trees as the real regorus makes them."""

from __future__ import annotations

import json

import pytest
import regorus

from policyd.errors import PolicyError
from policyd.policy.subset import Builtins, require_subset

ALIKE = frozenset({"startswith", "contains", "count", "sprintf", "regex.match", "concat", "upper_bound"})
BUILTINS = Builtins(pure=ALIKE | {"lower", "walk", "time.parse_rfc3339_ns"}, alike=ALIKE)


def check(body: str, *, head: str = "", package: str = "policyd.a.b", declared: str = "policyd.a.b") -> None:
    engine = regorus.Engine()
    engine.add_policy("a.rego", f"package {package}\n{head}\ndeny contains 1 if {{\n\t{body}\n}}\n")
    require_subset(json.loads(engine.get_ast_as_json()), {"a.rego": declared}, BUILTINS)


@pytest.mark.parametrize(
    "body",
    [
        'startswith(input.x, "a")',
        "some x in input.list\n\tnot x.flag",
        "x := input.x\n\tnot startswith(x, `a`)",
        "x := input.x\n\tnot x in {1, 2}",
        'not input.a.b["c"] == 1',
        "not input.a == input.b",
        "i := 1\n\tnot input.list[i]",
        "not helper(1)",
        "x := input.x\n\tnot x in names",
        "x := input.x\n\tnot x in seen",
        "regex.match(`^[a-z]+$`, input.x)",
        'sprintf("%d %v %%", [2, 3])',
        'sprintf("%d", [count(input.x)])',
        'some product in input.evidence[0].products; sprintf("%d", [product.size])',
        'some c in input.commands\n\tsprintf("%s", [c.text])',
        'some i, c in input.commands\n\tsprintf("%d %s %s", [i, c.stage, c.argv[0]])',
        'some c in input.commands\n\tsome word in c.argv\n\tsprintf("%s", [word])',
        'some trigger in input.triggers\n\tsprintf("%s", [trigger.trust])',
        'c := input.commands[0]\n\tt := c["text"]\n\tsprintf("%s", [t])',
        'sprintf("%s", ["a"])',
        "every k in input.list { x := k; not input.m[x] }",
        "every k in input.list { input.m[k]; not k == 2 }",
        'every k in input.list { not input.m["a"]; k }',
        "y := 1; every k in input.list { not input.m[y]; k }",
        "input.a <= 1; count({1}) > 1",
        "{1} == {2}",
        'sprintf("%s", [concat(",", input.x)])',
        'sprintf("%s", [input.stage.name])',
        'x := {"a": input.b}',
        '{"a": 1} == input.x',
        "[x, y] = input.list",
        "some [x, y] in input.list",
        "x := 1.5",
        "x := 999999999999999",
        "x := input.n + 1",
        "data.policyd.lib.x.f(1)",
        "other.f(1)",
        "input.x with input.x as 1",
        "x := -1",
        "every y in input.list { y.ok }",
    ],
)
def test_what_both_engines_read_alike_may_be_used(body: str) -> None:
    check(
        body,
        head='import data.policyd.lib.other\nhelper(x) if x == 1\nnames := {"a"}\nseen contains x if some x in input.s',
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('http.send({"url": "http://x"})', "http.send may not be called by any policy"),
        ("opa.runtime()", "opa.runtime may not be called"),
        ("time.now_ns() > 1", "time.now_ns may not be called"),
        ('net.lookup_ip_addr("x")', "net.lookup_ip_addr may not be called"),
        ("unheard.of(1)", "unheard.of may not be called"),
        ("every k in input.list { not input.m[k] }", "a variable of `every` inside `not`"),
        ("every k, v in input.list { not input.m[k].x == 1; v }", "a variable of `every` inside `not`"),
        ("every k in input.list { every v in [1] { not input.m[k]; v } }", "a variable of `every` inside `not`"),
        ("input.a <= {1}", "order sets"),
        ("{x | some x in input.x} > 1", "order sets"),
        ("seen >= input.x", "order sets"),
        ("({1} | input.x) < 1", "order sets"),
        ('sprintf("%d", [1.5])', "not sure to be a whole number"),
        ('sprintf("%d", ["a"])', "not sure to be a whole number"),
        ('sprintf("%d", [input.x])', "not sure to be a whole number"),
        ('sprintf("%d", [true])', "not sure to be a whole number"),
        ('some c in input.stages; sprintf("%d", [c.timeout_seconds])', "not sure to be a whole number"),
        ('some c in input.stages; sprintf("%d", [c.untrusted])', "not sure to be a whole number"),
        ('some i, _ in input.document; sprintf("%d", [i])', "not sure to be a whole number"),
        ('"a", 1 in input.x', "look for a key and its value"),
        ('not "a", 1 in input.x', "look for a key and its value|inside `not`"),
        ('sprintf("%s", [1])', "not sure to be text"),
        ('sprintf("%s", [input.x])', "not sure to be text"),
        ('sprintf("%s", [input.document.name])', "not sure to be text"),
        ('sprintf("%s", [input.evidence[0].results[0].passed])', "not sure to be text"),
        ('sprintf("%s", input.list)', "not sure to be text"),
        ('some c in input.commands; sprintf("%s", [c.untrusted])', "value 1 of sprintf is not sure"),
        ('some c in input.commands; sprintf("%s", [c.argv])', "value 1 of sprintf is not sure"),
        ('some c in input.stages; sprintf("%d %s", [1, c.timeout_seconds])', "value 2 of sprintf is not sure"),
        ('some c in input.document; sprintf("%s", [c.text])', "value 1 of sprintf is not sure"),
        ('some c in input.nothing; sprintf("%s", [c.text])', "value 1 of sprintf is not sure"),
        ('some c, _ in input.commands; sprintf("%s", [c.text])', "value 1 of sprintf is not sure"),
        (
            'c := [d | some d in input.commands; some d in input.x][0]; sprintf("%s", [c.text])',
            "value 1 of sprintf is not sure",
        ),
        (
            'y := [sprintf("%s", [c.text]) | some c in input.x]; some c in input.commands',
            "value 1 of sprintf is not sure",
        ),
        ('some c in input.commands; every d in [1] { sprintf("%s", [d]) != c.text }', "value 1 of sprintf is not sure"),
        ('some c; input.x[c]; sprintf("%s", [c.text])', "value 1 of sprintf is not sure"),
        ('[c, d] = input.x; sprintf("%s", [c.text])', "value 1 of sprintf is not sure"),
        ('sprintf("%s", [names])', "value 1 of sprintf is not sure"),
        ('{"a": x} = input.x', "match an object against a pattern"),
        ('{"a": x} := input.x', "match an object against a pattern"),
        ('input.x = {"a": x}', "match an object against a pattern"),
        ('[{"a": x}] = input.x', "match an object against a pattern"),
        ('some {"a": x} in input.x', "match an object against a pattern"),
        ('some x; input.x[{"a": x}]', "match an object against a pattern"),
        ("x := 1.0", "the number 1.0"),
        ("input.x == 1e3", "the number 1e3"),
        ("input.x > 12345678901234567890", "the number 12345678901234567890"),
        ("x := [-1.50]", "the number -1.50"),
        ("x := input.x + 0.1", "round fractions"),
        ("x := 2.5 * input.x", "round fractions"),
        ("nothing(1)", "nothing may not be called"),
        ('x := [y | y := http.send({"url": "u"})]', "http.send"),
        ("x := {1: rand.intn(`a`, 3)}", "rand.intn"),
        ("count([1 | opa.runtime()]) > 0", "opa.runtime"),
        ("every y in input.list { time.now_ns() > y }", "time.now_ns"),
        ('input["f"](1)', "computed"),
        ("lower(input.x) == `a`", "lower does not answer alike"),
        ("walk(input, [p, v])", "walk does not answer alike"),
        ("regex.match(input.pattern, `a`)", "not a literal"),
        ("regex.match(`\\w`, `a`)", "differently"),
        ('regex.match("\\\\d", `a`)', "differently"),
        ("sprintf(input.format, [1])", "not a literal"),
        ('sprintf("%x", [1])', "format this verb"),
        ('sprintf("%05d", [1])', "format this verb"),
        ('sprintf("%s %s", [1])', "one value for each verb"),
        ('not startswith(input.x, "a")', "inside `not`"),
        ("not input.x != 1", "inside `not`"),
        ("not input.x in {1}", "inside `not`"),
        ("not input.x[_] == 1", "inside `not`"),
        ("not input.list[input.i]", "inside `not`"),
        ("not count(input.list) > 1", "inside `not`"),
        ("not concat(`,`, [input.x]) == `a`", "inside `not`"),
        ("not helper(input.x)", "inside `not`"),
        ("not helper(maybe)", "inside `not`"),
        ("not alias > 1", "inside `not`"),
        ("not [1 | input.x][0] == 2", "inside `not`"),
        ("-input.x < 3", "minus"),
        ("x := 1 with data.policyd.a.b.helper as http.send", "another's place"),
        ("x := 1 with input.f as upper_bound", "another's place"),
        ("x := 1 with count as 3", "may not replace count"),
    ],
)
def test_what_engines_read_differently_is_refused_with_its_line(body: str, reason: str) -> None:
    head = "import input.a as alias\nhelper(x) if x == 1\nmaybe := 1 if input.y\nseen contains 1"

    with pytest.raises(PolicyError, match=reason) as refused:
        check(body, head=head)

    assert refused.value.where == "a.rego:7"
    assert refused.value.fix


@pytest.mark.parametrize(
    "head",
    [
        "http.send(x) := 1",
        "count(x) := 1",
        "import data.policyd.lib.http",
        "import data.policyd.lib.x as time",
        "json := 1",
        "regex[x] := 1 if x := 2",
    ],
)
def test_no_name_may_hide_a_builtin(head: str) -> None:
    with pytest.raises(PolicyError, match="called like"):
        check("input.x", head=head)


def test_an_import_may_not_be_called_as_the_builtin_it_hides() -> None:
    with pytest.raises(PolicyError):
        check('http.send({"url": "http://x"})', head="import data.policyd.lib.http")


def test_the_engine_has_to_read_the_package_that_was_read_before() -> None:
    with pytest.raises(PolicyError, match="reads the package as"):
        check("input.x", package="policyd.evil", declared="policyd.a.b")


@pytest.mark.parametrize(
    "head",
    [
        "x := opa.runtime()",
        "f(y) := opa.runtime() if y",
        "f(y) := 1 if y == 1\nelse := opa.runtime() if y == 2",
        "s contains opa.runtime()",
        "g[y] := 1 if y := opa.runtime()",
        "x := [y | y := opa.runtime()]",
        "x := y if { y := 1 with input as opa.runtime() }",
    ],
)
def test_a_forbidden_builtin_is_found_in_every_part_of_a_rule(head: str) -> None:
    with pytest.raises(PolicyError, match=r"opa\.runtime"):
        check("input.x", head=head)
