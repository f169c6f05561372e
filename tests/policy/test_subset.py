"""What policies may use, on syntax trees as the real regorus makes them."""

from __future__ import annotations

import json

import pytest
import regorus

from policyd.errors import PolicyError
from policyd.policy.input_subset import Kind
from policyd.policy.subset import Builtins, ValueUse, require_subset, unite_uses

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
        "input.x in {input.a, 2}",
        "count({input.a, 2} | {3}) > 1",
        "count({input.a, 2}) == 1",
        "{input.a, 2} == {2, 3}",
        "some y in {input.a}",
        'some y in {"a", "b"}',
        'x := {"a": input.a, "b": input.b}',
        "x := [input.a, 2]",
        "input.a / input.b > 2",
        "input.a * 100 / input.b >= 33.5",
        "x := input.a * 1000",
        "x := 6 / 2",
        "x := 1.5; x > input.a",
        "input.list[i]; input.list[i + 1]",
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
        ("x := input.a / 2", "round fractions"),
        ("x := [input.a / 2]", "round fractions"),
        ("x := 1 / 3 * 3", "round fractions"),
        ("x := 1 / 3; y := x * 3", "round fractions"),
        ("helper(input.a / 2)", "round fractions"),
        ("x := input.a * input.b", "large products"),
        ("x := input.a * 1001", "large products"),
        ("x := input.a * 1000 * 1000", "large products"),
        ("x := 0.5; y := input.a; z := x + y", "round fractions"),
        ('sprintf("%d", [-1])', "a whole number from 0 up"),
        ('sprintf("%d", [count(input.x) - 1])', "a whole number from 0 up"),
        ('sprintf("%d", [indexof(input.x, "a")])', "a whole number from 0 up"),
        ('sprintf("%v", [{x | some x in input.x}])', "is a set"),
        ('sprintf("%v %v", [1, seen])', "is a set"),
        ('y := {1} | input.x; sprintf("%v", [y])', "is a set"),
        ("some y in {input.a, 2}", "order members"),
        ("x := {input.a, 2}", "order members"),
        ("every y in {input.a, 2} { y }", "order members"),
        ("helper({input.a, 2})", "order members"),
        ("x := [[input.a, {input.b, 1}]]", "order members"),
        ("y := input.a; {y, 1}[_] == 2", "order members"),
        ('x := {input.a: 1, "b": 2}', "order members"),
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


@pytest.mark.parametrize(
    "head",
    [
        "p contains x if some x in input.x",
        'p contains {"message": sprintf("%v", [x]), "at": [x, 1]} if some x in input.x',
        'p contains {"message": c.text, "at": c.at} if some c in input.commands',
        "p contains {x | some x in input.x} if some y in input.x",
        "p contains input.x if input.y",
        "p := input.x if input.y",
        "p := y if { some x in input.x; y := x.name }",
        "p[x] := count(x) if some x in input.x",
        "p(x) := x.name if some y in x",
    ],
)
def test_a_head_may_hold_what_its_body_has_bound(head: str) -> None:
    check("input.x", head=head)


@pytest.mark.parametrize(
    "head",
    [
        "p contains x.name if some x in input.x",
        'p contains {"message": x.name, "at": []} if some x in input.x',
        "p contains [[x.name]] if some x in input.x",
        "p contains input.names[x] if some x in input.x",
        "p contains c.argv[1] if some c in input.commands",
        "p contains c.nothing if some c in input.commands",
        "p contains x.name if input.x[x]",
        "p contains x.name if { some x; input.x[x] }",
        "p contains max(x) if some x in input.x",
        "p contains f(x) if some x in input.x",
        "p contains maybe if some x in input.x",
        "p contains input if some x in input.x",
        "p := x.name if some x in input.x",
        "p := 1 if { input.y } else := x.name if { some x in input.x }",
        "p[x.name] := 1 if some x in input.x",
        "p[x] := x.name if some x in input.x",
        "p.a := x.name if some x in input.x",
        'p contains sprintf("%v", [x.name]) if some x in input.x',
        "p contains x.size + 1 if some x in input.x",
    ],
)
def test_a_head_may_not_be_undefined_for_one_of_several_solutions(head: str) -> None:
    """`deny contains x.name if some x in xs`: one `x` without a name would silence the rule for all others."""
    with pytest.raises(PolicyError, match="a part of a head"):
        check("input.x", head=f"f(x) := 1 if x\nmaybe := 1 if input.y\n{head}")


@pytest.mark.parametrize(
    "head",
    [
        "p[x] := 1 if some x in input.x",
        'p[x] := 1 if some x in input.x\np.c := 2\np["d"] := 3',
        "p.a.b := 1\np.a.c := 2\np.d contains 3",
        'p.a[x] := 1 if some x in input.x\np["b"].c := 2',
        "p[1] := 2",
        "p.f(x) := x",
    ],
)
def test_objects_that_both_engines_build_alike_may_be_built(head: str) -> None:
    check("input.x", head=head)


@pytest.mark.parametrize(
    "head",
    [
        "p[x].y := 1 if some x in input.x",
        "p[x][y] := 1 if some x, y in input.x",
        "p[x] contains 1 if some x in input.x",
        "p.a[x] contains 1 if some x in input.x",
        "p[x].y contains 1 if some x in input.x",
        "p[x] := 1 if some x in input.x\np.a.b := 2",
        "p.a.b := 2 if input.x\np[x] := 1 if some x in input.x",
    ],
)
def test_objects_that_the_engines_build_differently_are_refused(head: str) -> None:
    with pytest.raises(PolicyError, match="object of objects"):
        check("input.x", head=head)


def test_heads_of_another_module_of_the_package_count() -> None:
    engine = regorus.Engine()
    engine.add_policy("a.rego", "package policyd.a\n\np[x] := 1 if some x in input.x\n")
    engine.add_policy("b.rego", "package policyd.a\n\np.c.d := 1\n")

    with pytest.raises(PolicyError, match="object of objects"):
        require_subset(json.loads(engine.get_ast_as_json()), {"a.rego": "policyd.a", "b.rego": "policyd.a"}, BUILTINS)


@pytest.mark.parametrize(
    ("body", "bearable"),
    [
        ("input.x", Kind.ODD),
        ("input.document.a == 1", Kind.ODD),
        ('sprintf("%v", [input.x])', Kind.FRACTION),
        ('x := {input.document.a: 1}; x["a"]', Kind.FRACTION),
        ("x := {k: 1 | some k in input.document}", Kind.FRACTION),
        ("x := input.x + 1", Kind.PLAIN),
        ("x := input[y] - 1; y := `a`", Kind.PLAIN),
        ("some x in input.document; numbers_of(x + 1)", Kind.PLAIN),
        ("x := sum(input.results[0].document)", Kind.PLAIN),
        ("substring(input.commands[0].text, input.x, 1)", Kind.PLAIN),
        ("x := input; y := alias + 1", Kind.PLAIN),
        ("y := alias + 1", Kind.PLAIN),
        # Lists of facts hold whole numbers and text, so whatever is done with them is alike.
        ("input.commands[0].argv[1]", Kind.LARGE),
        ("some i, c in input.commands; input.commands[i + 1].text == c.text", Kind.LARGE),
        ('sprintf("%v", [input.artifact.name])', Kind.LARGE),
        ('sprintf("%v", [input.attempt + input.attempt])', Kind.LARGE),
        ("1 + 1 == 2", Kind.LARGE),
    ],
)
def test_what_is_done_with_numbers_says_which_the_input_may_hold(body: str, bearable: Kind) -> None:
    head = "import input.document as alias\n" if "alias" in body else ""
    engine = regorus.Engine()
    module = f"package policyd.a\n{head}\nnumbers_of(x) := [x]\n\ndeny contains 1 if {{\n\t{body}\n}}\n"
    engine.add_policy("a.rego", module)
    builtins = Builtins(pure=BUILTINS.pure | {"sum", "substring"}, alike=BUILTINS.alike | {"sum", "substring"})

    uses = require_subset(json.loads(engine.get_ast_as_json()), {"a.rego": "policyd.a"}, builtins)

    assert uses["a.rego"].bearable is bearable


def test_a_number_that_one_module_sees_and_another_calculates_with_counts() -> None:
    sees, calculates = ValueUse(sees=True), ValueUse(calculates=True)

    assert unite_uses([sees, calculates]).bearable is Kind.PLAIN
    assert unite_uses([ValueUse(), calculates]).bearable is Kind.LARGE
    assert unite_uses([]).bearable is Kind.LARGE
