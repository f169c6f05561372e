"""Rego that hypothesis puts together from the embedded subset, and inputs with parts missing.

The grammar is that of rules as people write them, with every position open to a field that may not be there. It does
not have to stay inside the subset: what `policyd.policy.subset` refuses is not compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

PACKAGE = "policyd.a.made"
NAMES = ("a", "b", "a", "text", "list", "text", "number", "flag", "object", "absent")
SCALARS = ("0", "1", "2", "1.5", '"a"', '"b"', '""', '"ab"', '"é"', "true", "false", "null")
#: Numbers beyond what a double or 64 bits can hold, or that are written in another way than they are printed.
NUMBERS = ("1.0", "1e3", "9007199254740993", "12345678901234567890", "1e21", "0.1", "-7", "2147483648")
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
#: Calls by what they give, with `$` for any term, `%` for one that is bound, `#` for a collection.
TESTS = (
    "startswith($, $)",
    "endswith($, $)",
    "contains($, $)",
    "is_string($)",
    "is_array($)",
    "is_null($)",
    "is_number($)",
    "is_object($)",
    "is_boolean($)",
    'regex.match("^[ab]+$", $)',
    "strings.any_prefix_match($, $)",
)
CALLS = (
    "count($)",
    'concat(",", $)',
    'object.get($, "a", $)',
    'object.get($, ["a", "b"], $)',
    "object.keys($)",
    'split($, "a")',
    'replace($, "a", $)',
    "sum($)",
    "max($)",
    "min($)",
    "abs($)",
    "round($)",
    "substring($, 0, 1)",
    'trim($, "a")',
    "trim_prefix($, $)",
    "type_name($)",
    'indexof($, "a")',
    "object.union_n([$, $])",
    "strings.reverse($)",
    "trim_space($)",
    'sprintf("%v-%v", [$, $])',
    'sprintf("%s", [$])',
    'sprintf("%d", [$])',
    "array.concat($, $)",
    "union({$, $})",
    "object.union($, $)",
    "numbers.range(0, $)",
    "format_int($, 10)",
    "array.slice($, 0, $)",
    "array.reverse($)",
    "base64.encode($)",
    "ceil($)",
    "floor($)",
    "intersection({$, $})",
    'object.filter($, ["a", "b"])',
    "object.remove($, $)",
    'regex.find_n("[ab]", $, -1)',
    "substring($, $, $)",
    'trim_left($, "a")',
    'trim_right($, "b")',
    "trim_suffix($, $)",
    "numbers.range($, 2)",
    "strings.any_suffix_match($, $)",
    'sprintf("%d %v", [$, $])',
)

Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass
class Scope:
    """What a body may use: variables that are bound, and rules and functions that stand before."""

    variables: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)  # those that may hold anything: OPA's type checker lets all pass
    declared: list[str] = field(default_factory=list)  # here, and not outside: OPA wants each to be used
    rules: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    made: list[int] = field(default_factory=lambda: [0])

    def below(self) -> Scope:
        """Return the scope of a body inside this one."""
        return Scope(list(self.variables), list(self.open), [], self.rules, self.sets, self.functions, self.made)

    def bind(self, *names: str, open: bool) -> None:
        """Note variables that a literal has bound."""
        self.variables += names
        self.declared += names
        if open:
            self.open += names

    def new(self) -> str:
        """Return a name that stands nowhere else."""
        self.made[0] += 1
        return f"v{self.made[0]}"


class Maker:
    """Draws parts of a module. Depth is counted, so that every draw comes to an end."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        # One part that either engine refuses is the end of a module: most are made of what passes.
        self.daring = self.number(3) == 0

    def pick(self, *choices: Any) -> Any:
        return self._draw(st.sampled_from(choices))

    def number(self, most: int) -> int:
        return int(self._draw(st.sampled_from(range(most + 1))))

    def reference(self, scope: Scope, *, wild: bool = False) -> str:
        text = self.pick("input", "input", *scope.open)
        # Long paths lead nowhere most of the time, and a body behind one is never reached.
        for _ in range(self.pick(1, 1, 1, 2) if text == "input" else self.pick(0, 1, 1, 2)):
            step = self.number(9)
            if step == 0:
                text += self.pick("[0]", "[1]")
            elif step == 1 and scope.variables:
                text += f"[{self.pick(*scope.variables)}]"
            elif step == 2 and wild:
                text += "[_]"
            elif step == 3:
                text += f'["{self.pick(*NAMES)}"]'
            else:
                text += f".{self.pick(*NAMES)}"
        return str(text)

    def collection(self, scope: Scope) -> str:
        kind = self.number(9)
        if kind == 0 and scope.sets:
            return str(self.pick(*scope.sets))
        if kind == 1:
            return f"[{self.scalar()}, {self.scalar()}]"
        if kind == 2:
            return f"{{{self.scalar()}, {self.scalar()}}}"
        if kind == 3 and scope.open:
            return str(self.pick(*scope.open))
        return str(self.pick("input.list", "input.list", "input.object", "input.a", "input.b", self.reference(scope)))

    def scalar(self) -> str:
        return str(self.pick(*(NUMBERS if self.daring and self.number(5) == 0 else SCALARS)))

    def bound(self, scope: Scope) -> str:
        return str(self.pick(self.scalar(), *scope.variables, *scope.variables, *scope.variables))

    def argument(self, scope: Scope, depth: int) -> str:
        """A term that OPA's type checker knows nothing of, most of the time."""
        match self.number(19):
            case 0:
                return str(self.pick('"a"', '"ab"', '""')) if not self.daring else self.scalar()
            case 1 if self.daring:
                return self.term(scope, depth + 1)
            case 2 | 3 | 4 | 5 | 6 | 7 if scope.open:
                return str(self.pick(*scope.open))
            case _:
                return self.reference(scope)

    def term(self, scope: Scope, depth: int = 0) -> str:
        kind = self.number(11 if depth < 2 else 6)
        match kind:
            case 0 | 1:
                return self.scalar()
            case 2 if scope.variables:
                return str(self.pick(*scope.variables))
            case 6 if scope.rules:
                return str(self.pick(*scope.rules))
            case 7:
                return self.call(scope, depth)
            case 8:
                return self.comprehension(scope, depth)
            case 9:
                inner = f"{self.term(scope, depth + 1)}, {self.term(scope, depth + 1)}"
                members = inner if self.daring else self.term(scope, depth + 1)
                return str(self.pick(f"[{inner}]", f"{{{members}}}", f'{{"a": {self.term(scope, depth + 1)}}}'))
            case 10:
                operator = self.pick("+", "-", "%", "|", "&", *("*/" if self.daring else "-+"))
                return f"({self.argument(scope, depth)} {operator} {self.argument(scope, depth)})"
            case 11 if scope.functions:
                return f"{self.pick(*scope.functions)}({self.term(scope, depth + 1)})"
            case _:
                return self.reference(scope)

    def head(self, scope: Scope) -> str:
        """What stands in a head: mostly what its body has bound, which the subset wants where there are several."""
        if self.daring and self.number(1) == 0:
            return self.term(scope)
        first, second = self.bound(scope), self.bound(scope)
        printed = self.pick('"a"', *scope.open)  # no set: what is one for sure may not be printed
        return str(
            self.pick(
                first, first, f"[{first}, {second}]", f'{{"a": {first}, "b": {second}}}', f'sprintf("%v", [{printed}])'
            )
        )

    def call(self, scope: Scope, depth: int) -> str:
        return self.fill(self.pick(*CALLS, *TESTS), lambda: self.argument(scope, depth))

    def fill(self, call: str, argument: Callable[[], str]) -> str:
        while "$" in call.replace('$"', ""):
            before, _, after = call.partition("$")
            if after.startswith('"'):  # the end of a pattern
                head, _, tail = after.partition("$")
                return f"{before}${head}{argument()}{tail}"
            call = f"{before}{argument()}{after}"
        return call

    def comprehension(self, scope: Scope, depth: int) -> str:
        inner = scope.below()
        body = self.inside(inner, depth)
        match self.number(2):
            case 0:
                return f"[{self.term(inner, depth + 1)} | {body}]"
            case 1:
                return f"{{{self.term(inner, depth + 1)} | {body}}}"
            case _:
                return f"{{{self.bound(inner)}: {self.term(inner, depth + 1)} | {body}}}"

    def literals(self, scope: Scope, depth: int, most: int) -> list[str]:
        return [self.literal(scope, depth) for _ in range(1 + self.number(most - 1))]

    def inside(self, scope: Scope, depth: int) -> str:
        """The body of a comprehension or `every`, on one line."""
        return "; ".join([*self.literals(scope, depth + 1, most=2), *self.uses(scope)])

    def uses(self, scope: Scope) -> list[str]:
        """A literal that is true and uses what was declared."""
        return [f"count([{', '.join(scope.declared)}]) > 0"] if scope.declared else []

    def literal(self, scope: Scope, depth: int) -> str:
        kind = self.number(24)
        match kind:
            case 20:
                return f"every {self.quantified(scope, depth)}" if depth < 2 else self.reference(scope)
            case 21:
                collection, name, other = self.collection(scope), scope.new(), scope.new()
                scope.bind(name, other, open=True)
                return f"some [{name}, {other}] in {collection}"
            case 22:
                return f"not {self.negated(scope)} {self.replacement(scope)}"
            case 23:
                name, value = scope.new(), self.comprehension(scope, depth)
                scope.bind(name, open=False)
                return f"{name} := {self.pick('count', 'max', 'min', 'sum', '')}({value})"
            case 24:
                value = self.fill(self.pick(*CALLS), lambda: self.bound(scope))
                return f"{value} {self.pick(*COMPARISONS)} {self.bound(scope)}"
            case 0 | 1 | 2:
                collection, name = self.collection(scope), scope.new()
                if self.number(2) == 0:
                    key = scope.new()
                    scope.bind(key, name, open=True)
                    return f"some {key}, {name} in {collection}"
                scope.bind(name, open=True)
                return f"some {name} in {collection}"
            case 3 | 4 | 5:
                plain = self.number(1) == 0
                value, name = self.reference(scope) if plain else self.term(scope, depth), scope.new()
                scope.bind(name, open=plain)
                return f"{name} := {value}"
            case 6:
                return self.reference(scope, wild=True)
            case 7 | 8:
                return f"{self.argument(scope, depth)} {self.pick(*COMPARISONS)} {self.term(scope, depth)}"
            case 9 | 10 | 11:
                return f"not {self.negated(scope)}"
            case 12:
                return f"{self.term(scope, depth)} in {self.collection(scope)}"
            case 13 if depth < 2:
                collection, name = self.collection(scope), scope.new()
                inner = scope.below()
                inner.bind(name, open=True)
                return f"every {name} in {collection} {{ {self.inside(inner, depth)} }}"
            case 14:
                asked = self.pick(self.reference(scope), *scope.rules, *(f"{name}[_]" for name in scope.sets))
                several = "".join(f" {self.replacement(scope)}" for _ in range(1 + self.number(1)))
                return f"{asked}{several}"
            case 15:
                name = scope.new()
                value, other = self.argument(scope, depth), self.bound(scope)
                scope.bind(name, open=True)
                return f"[{name}, {other}] = {value}"
            case 16:
                name = scope.new()
                collection = self.pick("input.list", "input.object", self.reference(scope))
                scope.bind(name, open=True)
                return f"some {name}; {collection}[{name}]{self.pick('', '.a', ' == ' + self.bound(scope))}"
            case 17 if self.daring:
                value = self.argument(scope, depth)
                name, other = scope.new(), scope.new()
                scope.bind(name, other, open=True)
                return f'{{"a": {name}, "b": {other}}} = {value}'
            case 18 if self.daring:
                key, value = self.bound(scope), self.bound(scope)
                return f"{key}, {value} in {self.collection(scope)}"
            case _:
                return self.fill(self.pick(*TESTS), lambda: self.argument(scope, depth))

    def quantified(self, scope: Scope, depth: int) -> str:
        key, name, collection = scope.new(), scope.new(), self.collection(scope)
        inner = scope.below()
        inner.bind(key, name, open=True)
        return f"{key}, {name} in {collection} {{ {self.inside(inner, depth)} }}"

    def replacement(self, scope: Scope) -> str:
        target = self.pick("input", "input.a", "input.object.a", "input.absent", "input.list", "data.a")
        value = self.pick("{}", '{"a": 1}', '"a"', "[1]", '[{"a": "b"}]', *scope.variables)
        return f"with {target} as {value}"

    def negated(self, scope: Scope) -> str:
        """What stands inside `not`: mostly what the subset takes, and every fourth time whatever there is."""
        plain = not self.daring or self.number(1) == 0

        def part() -> str:
            return self.bound(scope) if plain else self.argument(scope, 1)

        match self.number(7):
            case 0:
                return self.reference(scope, wild=True)
            case 1 if scope.rules:
                return str(self.pick(*scope.rules))
            case 2:
                return f"{part()} {self.pick(*COMPARISONS)} {part()}"
            case 3:
                return f"{self.reference(scope)} {self.pick(*COMPARISONS)} {self.bound(scope)}"
            case 4:
                return f"{part()} in {self.pick(*scope.variables, *scope.sets, '{1, 2}', 'input.list')}"
            case 5 if scope.functions:
                return f"{self.pick(*scope.functions)}({part()})"
            case 6 if scope.sets:
                return f"{self.pick(*scope.sets)}[{self.bound(scope)}]"
            case _:
                return self.fill(self.pick(*TESTS), part)

    def body(self, scope: Scope) -> str:
        return "{\n\t" + "\n\t".join([*self.literals(scope, 0, most=3), *self.uses(scope)]) + "\n}"

    def module(self) -> tuple[str, tuple[str, ...]]:
        lines = [f"package {PACKAGE}", ""]
        rules: list[str] = []
        sets: list[str] = []
        functions: list[str] = []

        def scope(*variables: str) -> Scope:
            return Scope(list(variables), list(variables), [], tuple(rules), tuple(sets), tuple(functions))

        for number in range(1 + self.number(3)):
            match self.number(9):
                case 7:
                    name = f"h{number}"
                    text = f"default {name} := {self.scalar()}\n" if self.number(1) else ""
                    text += f"{name} := {self.scalar()}"
                    for _ in range(1 + self.number(2)):
                        inner = scope()
                        text += f" if {self.body(inner)} else := {self.head(inner)}"
                    lines.append(text)
                    rules.append(name)
                case 8:
                    name = f"o{number}"
                    for _ in range(2 + self.number(1)):
                        inner = scope()
                        body = self.body(inner)
                        head = self.pick(f"{name}[{self.bound(inner)}]", f"{name}.a", f'{name}["b"]', f"{name}.a.b")
                        lines.append(f"{head} := {self.head(inner)} if {body}")
                    rules.append(name)
                case 9:
                    name = f"s{number}"
                    for _ in range(2 + self.number(1)):
                        inner = scope()
                        body = self.body(inner)
                        head = self.pick(name, name, f"{name}.a") if self.daring else name
                        lines.append(f"{head} contains {self.head(inner)} if {body}")
                    sets.append(name)
                case 0:
                    name = f"h{number}"
                    if self.number(1):
                        lines.append(f"default {name} := {self.scalar()}")
                    lines.append(f"{name} if {self.body(scope())}")
                    rules.append(name)
                case 1:
                    name, inner = f"h{number}", scope()
                    body = self.body(inner)
                    text = f"{name} := {self.head(inner)} if {body}"
                    if self.number(1):
                        inner = scope()
                        body = self.body(inner)
                        text += f" else := {self.head(inner)} if {body}"
                    lines.append(text)
                    rules.append(name)
                case 2:
                    name, inner = f"s{number}", scope()
                    body = self.body(inner)
                    lines.append(f"{name} contains {self.head(inner)} if {body}")
                    sets.append(name)
                case 3:
                    name, inner = f"o{number}", scope()
                    body = self.body(inner)
                    lines.append(f"{name}[{self.bound(inner)}] := {self.head(inner)} if {body}")
                    rules.append(name)
                case 4:
                    name = f"_f{number}"
                    inner = scope("x")
                    lines.append(f"{name}(x) if {self.body(inner)}")
                    functions.append(name)
                case 5:
                    name = f"_f{number}"
                    if self.number(2) == 0:
                        lines.append(f"default {name}(_) := {self.scalar()}")
                    for _ in range(1 + self.number(2)):
                        argument = self.pick("x", "x", self.scalar())
                        inner = scope(*(["x"] if argument == "x" else []))
                        body = self.body(inner)
                        lines.append(f"{name}({argument}) := {self.head(inner)} if {body}")
                    functions.append(name)
                case _:
                    name = f"h{number}"
                    lines.append(f"{name} := {self.term(scope())}")
                    rules.append(name)
        inner = scope()
        body = self.body(inner)
        lines.append(f'deny contains {{"message": {self.head(inner)}, "at": []}} if {body}')
        return "\n".join(lines) + "\n", ("deny", *rules, *sets)


@st.composite
def modules(draw: Draw) -> tuple[str, tuple[str, ...]]:
    """Draw a module, and the names of its rules that can be asked."""
    return Maker(draw).module()


def values(depth: int = 0) -> st.SearchStrategy[Any]:
    """Draw a JSON value such as fields have."""
    scalars = st.sampled_from(
        [None, True, False, 0, 1, 2, -1, 1.5, 0.1, 2.0, 10**15, 2**53, "", "a", "b", "ab", "ba", "é", "😀"]
    )
    if depth > 1:
        return scalars
    return st.one_of(
        scalars,
        st.lists(values(depth + 1), max_size=3),
        st.dictionaries(st.sampled_from(NAMES[:-1]), values(depth + 1), max_size=3),
    )


def inputs() -> st.SearchStrategy[dict[str, Any]]:
    """Draw an input. The main mutation is a field that is not there: of seven, up to three are missing."""
    text = st.sampled_from(["a", "ab", "", "ba", "é"])
    usual: dict[str, st.SearchStrategy[Any]] = {
        "a": st.one_of(text, text, values()),
        "b": st.one_of(text, values(), values()),
        "list": st.lists(st.dictionaries(st.sampled_from(NAMES[:-1]), values(1), max_size=4), min_size=1, max_size=3),
        "text": text,
        "number": st.sampled_from([0, 1, 2, -1, 1.5]),
        "flag": st.booleans(),
        "object": st.dictionaries(st.sampled_from(NAMES[:-1]), values(1), max_size=4),
    }
    missing = st.sets(st.sampled_from(sorted(usual)), max_size=3)
    return st.builds(
        lambda full, gone: {name: value for name, value in full.items() if name not in gone},
        st.fixed_dictionaries(usual),
        missing,
    )
