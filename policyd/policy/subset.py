"""The Rego that policies may use: pure everywhere, and alike on both engines where the embedded one answers.

The embedded engine (regorus) and OPA differ silently in everyday Rego; docs/rego.md lists what was measured.
So the parsed policy is held against two lists of builtins and against a few shapes that the engines read differently.
What is outside the first list is refused everywhere; what is outside the second only where regorus would answer, with
a rewriting that both read alike. Names are allowed, never forbidden: a builtin nobody thought of is refused.

What is walked is the syntax tree that regorus makes of a module (policyd.policy.syntax_tree).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from policyd.errors import PolicyError
from policyd.policy.input_subset import Kind, holds_wide_characters
from policyd.policy.regex_subset import find_regex_difference
from policyd.policy.syntax_tree import (
    Node,
    find_dotted,
    find_line,
    find_part,
    find_text,
    kind_of,
    list_of,
    package_of,
    root_name,
    rule_heads,
    walk,
)

if TYPE_CHECKING:
    from policyd.policy.known_values import KnownValues

#: Namespaces of builtins, of both engines. No package function, rule or import may be called like one of them, so that
#: `http.send` is always the builtin and is looked up in the lists.
_NAMESPACES = frozenset(
    {
        *("array", "base64", "base64url", "bits", "crypto", "glob", "graph", "graphql", "hex", "http", "internal"),
        *("io", "json", "net", "numbers", "object", "opa", "providers", "rand", "regex", "rego", "semver", "strings"),
        *("time", "units", "uri", "urlquery", "uuid", "yaml"),
    }
)
_SCALARS = frozenset({"String", "RawString", "Number", "Bool", "Null"})
#: Builtins whose first argument is a regular expression.
_PATTERN_FIRST = frozenset({"regex.match", "regex.find_n", "regex.find_all_string_submatch_n"})
#: Builtins whose second argument may not be empty: for `indexof` an error and 0, for `replace` other places.
_NOT_EMPTY = frozenset({"indexof", "replace"})
#: Builtins whose answer depends on how numbers are held, and the first argument that counts.
_CALCULATING = {"numbers.range": 0, "sum": 0, "array.slice": 1, "substring": 1}
#: Numbers as both engines read and print them.
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?")
MAX_NUMBER = 10**15  # 15 digits survive in a double
MAX_FACTOR = 1000  # of what is below 2**53 in the input: the product has less than 64 bits
_USE_OPA = "or evaluate this policy with `--engine opa`"


@dataclass(frozen=True, slots=True)
class Builtins:
    """`pure` may be called by any policy; `alike` is the part that the embedded engine answers as OPA does."""

    pure: frozenset[str]
    alike: frozenset[str]


@dataclass(slots=True)
class ValueUse:
    """What modules do with values that the engines may carry differently (policyd.policy.input_subset)."""

    sees: bool = False  # reads a part of the input that may hold any number
    calculates: bool = False
    prints: bool = False
    fractions: bool = False  # holds one itself, and not only to compare with
    counts: bool = False  # what may be text
    counts_fields: bool = False  # what is a list but in documents

    @property
    def bearable(self) -> Kind:
        """The kind of number in the input up to which both engines answer alike."""
        if not self.sees:
            return Kind.LARGE
        return Kind.PLAIN if self.calculates else Kind.FRACTION if self.prints else Kind.ODD

    @property
    def counts_characters(self) -> bool:
        """Whether it may count characters: one beyond U+FFFF counts as two in regorus."""
        return self.counts or (self.counts_fields and self.sees)


def unite_uses(uses: Iterable[ValueUse]) -> ValueUse:
    """Return what modules do together: one may hand a number that it sees to another that calculates."""
    all_uses = list(uses)
    return ValueUse(
        sees=any(use.sees for use in all_uses),
        calculates=any(use.calculates for use in all_uses),
        prints=any(use.prints for use in all_uses),
        fractions=any(use.fractions for use in all_uses),
        counts=any(use.counts for use in all_uses),
        counts_fields=any(use.counts_fields for use in all_uses),
    )


def require_subset(
    file_asts: Sequence[Node], packages: Mapping[str, str], builtins: Builtins
) -> Mapping[str, ValueUse]:
    """Raise `PolicyError` with file and line for the first thing that policies may not use.

    `file_asts` are the entries of `get_ast_as_json`, all modules that are loaded together; `packages` is the package
    that each file was read to declare. Returns what each file does with numbers, which only the input can decide on.
    """
    uses: dict[str, ValueUse] = {}
    defined: dict[str, set[str]] = {}
    maybe_undefined: dict[str, set[str]] = {}
    values: dict[str, set[str]] = {}
    depths: dict[tuple[str, str], set[tuple[int, bool]]] = {}  # of a rule's heads, and whether they are computed
    for file_ast in file_asts:
        package = package_of(file_ast)
        for name, rule in rule_heads(file_ast):
            defined.setdefault(package, set()).add(name)
            if kind_of(find_part(rule, "head"))[0] != "Func":
                values.setdefault(package, set()).add(name)
            if not _is_constant(rule):
                maybe_undefined.setdefault(package, set()).add(name)
            steps = _computed_steps(find_part(kind_of(find_part(rule, "head"))[1], "refr"))
            depths.setdefault((package, name), set()).add((len(steps), any(steps)))
    for file_ast in file_asts:
        package = package_of(file_ast)
        names = frozenset(defined.get(package, ()))
        constants = names - maybe_undefined.get(package, set())
        uneven = frozenset(name for name in names if _is_uneven(depths[package, name]))
        module = _Module(file_ast, builtins, names, constants, frozenset(values.get(package, ())), uneven)
        if package != packages.get(module.path):
            module.refuse(
                file_ast, f"the engine reads the package as {package!r}", "write a plain package clause first"
            )
        module.check()
        uses[module.path] = module.use
    return uses


def find_rule_names(file_asts: Sequence[Node]) -> dict[str, list[str]]:
    """Return the first name of each rule, by package: `deny`, `f`, or `a` of `a.b.c := 1`."""
    names: dict[str, list[str]] = {}
    for file_ast in file_asts:
        names.setdefault(package_of(file_ast), []).extend(name for name, _ in rule_heads(file_ast))
    return names


def find_split_rules(file_asts: Sequence[Node]) -> frozenset[str]:
    """Return the paths, without `data`, at which more stands than rules of that very name: `a` for `a.b := 1`.

    A package is such a path too, for whoever has it below the package that a rule of that name would be in.
    """
    found: set[str] = set()
    for file_ast in file_asts:
        package = package_of(file_ast)
        parts = package.split(".")
        found.update(".".join(parts[:length]) for length in range(1, len(parts) + 1))
        for rule in list_of(find_part(file_ast, "ast", "rules")):
            kind, body = kind_of(rule)
            head = kind_of(find_part(body, "head"))[1] if kind == "Spec" else body
            reference = find_part(head, "refr")
            if kind_of(reference)[0] != "Var":
                found.add(f"{package}.{root_name(reference)}")
    return frozenset(found)


class _Module:
    def __init__(
        self,
        file_ast: Node,
        builtins: Builtins,
        rules: frozenset[str],
        always_defined: frozenset[str],
        values: frozenset[str],
        uneven: frozenset[str],
    ) -> None:
        self.path = str(find_part(file_ast, "source", "file"))
        self.use = ValueUse()
        self._fraction: object = None  # one that is not only compared with
        self._ast = file_ast
        self._source = str(find_part(file_ast, "source", "contents")).encode()
        self._builtins = builtins
        self._rules = rules
        self._always_defined = always_defined
        self._sets = {name for name, rule in rule_heads(file_ast) if kind_of(find_part(rule, "head"))[0] == "Set"}
        self._uneven = uneven
        self._values = values  # rules that are no functions: their names stand for what they hold
        self._rule: object = None  # the one being looked at, and what is known of its variables
        self._known: KnownValues | None = None
        self._aliases = frozenset(self._import_alias(item) for item in list_of(find_part(file_ast, "ast", "imports")))
        self._compared: set[int] = set()  # by `id`, what is compared where it stands
        self._operands: set[int] = set()  # by `id`, what is calculated with
        self._typed: set[int] = set()  # by `id`, each `input` of which only a part without fractions is read
        self._not_walked: set[int] = set()  # by `id`, the literals that stand where nothing walks through their members

    def check(self) -> None:
        # 1. No name hides a builtin.
        for name, head in rule_heads(self._ast):
            if name in _NAMESPACES or name in self._builtins.pure:
                self.refuse(head, f"the rule is called like the builtin {name!r}", "give it another name")
        for item in list_of(find_part(self._ast, "ast", "imports")):
            if self._import_alias(item) in _NAMESPACES:
                self.refuse(item, "the import is called like builtins are", "add `as` with another name")
            root, _, field = (find_dotted(find_part(item, "refr")) or "input").partition(".")
            if root == "input" and not _is_typed(field.partition(".")[0]):
                self.use.sees = True

        # 2. Every call, wherever it stands, every `not`, every `with`.
        for rule in list_of(find_part(self._ast, "ast", "rules")):
            self._rule, self._known = rule, None
            self._check_head(rule)
            self._check_head_values(rule)
            self._check_rule(rule)
        if self.use.counts and holds_wide_characters(self._source):
            self.refuse(
                self._ast, "the engines count characters beyond U+FFFF differently", "take them out of the module"
            )
        if self.use.fractions and self.use.calculates:
            self.refuse(
                self._fraction, "the engines round fractions differently", f"calculate in whole numbers, {_USE_OPA}"
            )

    def _check_head(self, rule: object) -> None:
        # `p[x].y := 1`: asked for `p`, regorus has no object where OPA's is empty; asked for `p.a`, it takes what
        # `p.a.z := 2` says for all there is. `p[x] := 1` is alike where no head goes deeper.
        kind, head = kind_of(find_part(kind_of(rule)[1], "head"))
        steps = _computed_steps(find_part(head, "refr"))
        if any(steps):
            self._note_printed(find_part(kind_of(find_part(head, "refr"))[1], "index"))
        if any(steps) and (kind != "Compr" or any(steps[:-1]) or root_name(find_part(head, "refr")) in self._uneven):
            self.refuse(
                rule,
                "the engines build an object of objects or sets differently",
                f"make it with a comprehension (`p := {{k: v | …}}`), {_USE_OPA}",
            )

    def _check_head_values(self, rule: object) -> None:
        # `deny contains x.name if some x in xs`: once a name is not there, regorus forgets those found before.
        kind, head = kind_of(find_part(kind_of(rule)[1], "head"))
        if kind not in ("Compr", "Set"):
            return
        bodies = list_of(find_part(kind_of(rule)[1], "bodies"))
        named = [find_part(head, "key"), find_part(head, "assign", "value"), *_indexes(find_part(head, "refr"))]
        for number, body in enumerate(bodies):
            if not _iterates(find_part(body, "query")):
                continue
            for value in named if number == 0 else [find_part(body, "assign", "value")]:
                if value is not None and not self._is_defined(value):
                    self.refuse(
                        value,
                        "where a part of a head is undefined for one solution, regorus forgets the others",
                        f"bind it in the body (`x := …` on a line before) and use `x` in the head, {_USE_OPA}",
                    )

    def _is_defined(self, node: object) -> bool:
        """Say whether a value is there whenever the variables in it are bound."""
        kind, inner = kind_of(node)
        match kind:
            case "Var":
                # The name of a rule or an import stands for a reference, which may be undefined.
                references = (self._rules - self._always_defined) | self._aliases | {"_", "input", "data"}
                return find_part(inner, "value") not in references
            case "RefDot":
                # A field of a fact is always there: no answer about an input that lacks it counts.
                return _is_plain_path(node) and self._known_values.is_field(node)
            case "Array" | "Set":
                return all(self._is_defined(item) for item in list_of(find_part(inner, "items")))
            case "Object":
                fields = [field for field in list_of(find_part(inner, "fields")) if isinstance(field, list)]
                return all(self._is_defined(part) for field in fields for part in field[1:])
            case "Call":
                # Whatever else they can't answer is an error, which is loud.
                called = find_dotted(find_part(inner, "fcn")) or ""
                builtin = called in self._builtins.alike and called not in self._rules and called not in ("max", "min")
                return builtin and all(self._is_defined(each) for each in list_of(find_part(inner, "params")))
            case "ArithExpr" | "BinExpr" | "BoolExpr" | "Membership":
                sides = (find_part(inner, side) for side in ("lhs", "rhs", "key", "value", "collection"))
                return all(self._is_defined(side) for side in sides if side is not None)
        return kind in _SCALARS or kind in ("ArrayCompr", "SetCompr", "ObjectCompr")

    def _check_rule(self, rule: object) -> None:
        for kind, node in walk([rule]):
            match kind:
                case "Call":
                    self._check_call(node)
                case "NotExpr":
                    self._check_not(node)
                case "with_mods":
                    self._check_with(node)
                case "AssignExpr":
                    self._check_pattern_match(node, "lhs", *(() if find_part(node, "op") == "ColEq" else ("rhs",)))
                case "Every":
                    self._check_every(node)
                case "BoolExpr":
                    self._note_not_walked(find_part(node, "lhs"), find_part(node, "rhs"))
                    self._compared |= {id(kind_of(find_part(node, side))[1]) for side in ("lhs", "rhs")}
                    self._check_order(node)
                case "BinExpr":
                    self._note_not_walked(find_part(node, "lhs"), find_part(node, "rhs"))
                case "Set" if "items" in node:
                    self._check_members(node, list_of(find_part(node, "items")))
                case "Object" if "fields" in node:
                    keys = [_item_key(field) for field in list_of(find_part(node, "fields"))]
                    self._check_members(node, keys)
                    self._note_printed(*keys)
                case "ObjectCompr":
                    self._note_printed(find_part(node, "key"))
                case "Var":
                    # `input` as a whole; `input.commands` is looked at where the dot is.
                    if find_part(node, "value") == "input" and id(node) not in self._typed:
                        self.use.sees = True
                case "RefDot":
                    kind, base = kind_of(find_part(node, "refr"))
                    if kind == "Var" and find_part(base, "value") == "input" and _is_typed(_field_name(node)):
                        self._typed.add(id(base))
                case "Membership":
                    self._note_not_walked(find_part(node, "collection"))
                    if find_part(node, "key") is not None:
                        # `"a", "a" in {"a"}` is true in OPA alone: a set's members are their own keys.
                        self.refuse(
                            node,
                            "the engines look for a key and its value differently",
                            f"write `x[k] == v`, {_USE_OPA}",
                        )
                case "SomeIn":
                    self._check_pattern_match(node, "key", "value")
                case "Func":
                    self._check_pattern_match(node, "args")
                case "RefBrack":
                    self._check_pattern_match(node, "index")
                case "Number":
                    self._check_number(node)
                    if "." in self._text(node) and id(node) not in self._compared:
                        self.use.fractions, self._fraction = True, node
                case "ArithExpr":
                    self._note_not_walked(find_part(node, "lhs"), find_part(node, "rhs"))
                    self._check_arithmetic(node)
                case "UnaryExpr":
                    # regorus reads `-x < 3` as `-(x < 3)`.
                    if kind_of(find_part(node, "expr"))[0] != "Number":
                        self.refuse(
                            node, "the engines read a minus before a name differently", f"write `0 - x`, {_USE_OPA}"
                        )

    def refuse(self, node: object, cause: str, fix: str) -> None:
        line = find_line(node)
        raise PolicyError(cause, where=f"{self.path}:{line}" if line else self.path, fix=fix)

    def _check_call(self, call: Node) -> None:
        name = find_dotted(find_part(call, "fcn"))
        if name is None:
            return self.refuse(call, "the function called is computed", "call it by its name")
        root = name.partition(".")[0]
        if root == "data" or (root in self._aliases and root not in _NAMESPACES):
            return None
        if "." not in name and name in self._rules:
            return None
        if name not in self._builtins.pure:
            return self.refuse(
                call,
                f"{name} may not be called by any policy",
                "use only what policies/capabilities.json lists: rules are pure, facts come in as input",
            )
        self._note_not_walked(*list_of(find_part(call, "params")))
        if name not in self._builtins.alike:
            return self.refuse(call, f"{name} does not answer alike on the embedded engine", _USE_OPA[3:])
        params = list_of(find_part(call, "params"))
        if name in _PATTERN_FIRST:
            self._check_pattern(call, params)
        if name == "sprintf":
            self._check_format(call, params)
            kind, values = kind_of(params[1]) if len(params) == 2 else ("", {})
            self._note_printed(*(list_of(find_part(values, "items")) if kind == "Array" else [None]))
        if name == "count" and len(params) == 1:
            self._note_counted(params[0])
        if name in _NOT_EMPTY and not find_text(params[1] if len(params) > 1 else None):
            return self.refuse(
                call,
                f"the second argument of {name} is not sure to be some text, and the engines differ for an empty one",
                f"write it in place, {_USE_OPA}",
            )
        if name in _CALCULATING:
            self._note_calculated(*params[_CALCULATING[name] :])
        return None

    def _fits(self, verb: str, node: object) -> bool:
        if find_text(node) is not None:
            return verb == "s"
        match verb:
            case "s":
                return self._known_values.is_text(node)
            case "d":
                return self._known_values.is_natural(node)
        return self._known_values.is_whole(node)

    @property
    def _known_values(self) -> KnownValues:
        from policyd.policy.known_values import KnownValues

        # Variables live in one rule: what a name is bound to in another says nothing here.
        if self._known is None:
            self._known = KnownValues(self._rule, self._values | self._aliases, self._source)
        return self._known

    def _check_pattern(self, call: Node, params: list[object]) -> None:
        pattern = find_text(params[0]) if params else None
        if pattern is None:
            return self.refuse(
                call,
                "the regular expression is not a literal, so it can't be looked at",
                f"write it in place, {_USE_OPA}",
            )
        if difference := find_regex_difference(pattern):
            self.refuse(
                call,
                f"the engines read the regular expression differently: {difference[0]}",
                f"{difference[1]}, {_USE_OPA}",
            )
        return None

    def _check_format(self, call: Node, params: list[object]) -> None:
        text = find_text(params[0]) if params else None
        if text is None:
            return self.refuse(call, "the format of sprintf is not a literal", f"write it in place, {_USE_OPA}")
        verbs = text.replace("%%", "").split("%")[1:]
        if not all(verb[:1] in ("s", "d", "v") for verb in verbs):
            return self.refuse(call, "the engines format this verb differently", f"use only %s, %d and %v, {_USE_OPA}")
        kind, values = kind_of(params[1]) if len(params) == 2 else ("", {})
        items = list_of(find_part(values, "items"))
        if kind == "Array" and len(items) != len(verbs):
            return self.refuse(call, "sprintf has not one value for each verb", "make them as many")
        for number, verb in enumerate(verbs):
            if verb[:1] == "v" and kind == "Array" and self._is_set(items[number]):
                return self.refuse(
                    call,
                    f"value {number + 1} of sprintf is a set, which the engines print differently where it is empty",
                    f'print `concat(", ", values)`, or its members one by one, {_USE_OPA}',
                )
            if verb[:1] != "v" and not (kind == "Array" and self._fits(verb[:1], items[number])):
                # Where it doesn't, OPA prints `%!s(int64=2)` or `%!d(string=a)`, and regorus `2`, nothing or `--2`.
                fitting = "text" if verb[:1] == "s" else "a whole number from 0 up"
                return self.refuse(
                    call,
                    f"value {number + 1} of sprintf is not sure to be {fitting}, and the engines differ for others",
                    f"write %v in place of %{verb[:1]}, which prints it the same, {_USE_OPA}",
                )
        return None

    def _check_every(self, every: Node) -> None:
        # `every k in list { not thing[k] }` fails in regorus where `thing` has no `k`, and holds in OPA.
        names = {self._span_text(find_part(every, part)) for part in ("key", "value")}
        for kind, negated in walk([find_part(every, "query")]):
            if kind != "NotExpr":
                continue
            for inner_kind, inner in walk([negated]):
                index = [node for name, node in walk([find_part(inner, "index")]) if name == "Var"]
                if inner_kind == "RefBrack" and any(find_part(node, "value") in names for node in index):
                    self.refuse(
                        negated,
                        "the engines look up a variable of `every` inside `not` differently",
                        f"give it another name first (`x := k`) and look that up, {_USE_OPA}",
                    )

    def _check_order(self, comparison: Node) -> None:
        # Objects come before sets in OPA and after them in regorus; JSON has no sets, so only those written here count.
        if find_part(comparison, "op") in ("Lt", "Le", "Gt", "Ge"):
            for side in ("lhs", "rhs"):
                kind, inner = kind_of(find_part(comparison, side))
                if kind in ("Set", "SetCompr", "BinExpr") or (
                    kind == "Var" and find_part(inner, "value") in self._sets
                ):
                    self.refuse(
                        comparison,
                        "the engines order sets and other values differently",
                        f"compare their `count`, or use `==`, {_USE_OPA}",
                    )

    def _check_pattern_match(self, node: Node, *parts: str) -> None:
        # `{"a": x} = {"a": 1, "b": 2}` is undefined in OPA, and `x` is 1 in regorus.
        for part in parts:
            for kind, inner in walk([find_part(node, part)]):
                if kind == "Object" and any(name == "Var" for name, _ in walk([inner])):
                    self.refuse(
                        inner,
                        "the engines match an object against a pattern differently",
                        f"take its fields one by one (`x := thing.a`), {_USE_OPA}",
                    )

    def _note_not_walked(self, *nodes: object) -> None:
        self._not_walked |= {id(kind_of(node)[1]) for node in nodes}

    def _check_members(self, literal: Node, members: list[object]) -> None:
        # `[v | some v in {x, 1}]` is in the order written in OPA, and holds what is there twice twice.
        if len(members) < 2 or id(literal) in self._not_walked or all(_is_written_out(member) for member in members):
            return
        self.refuse(
            literal,
            "the engines order members that are computed differently",
            f"write a list (`[x, y]`), or `{{v | some v in [x, y]}}` where it has to be a set, {_USE_OPA}",
        )

    def _check_number(self, number: Node) -> None:
        # OPA keeps a number as it is written and regorus reads it: `1.0` prints as two texts, `1e21` as an error.
        text = self._text(number)
        if not _NUMBER.fullmatch(text) or abs(float(text)) > MAX_NUMBER:
            self.refuse(
                number,
                f"the engines read the number {text[:40]} differently",
                f"write it plainly, without exponent, closing zeros and more than 15 digits, {_USE_OPA}",
            )

    def _check_arithmetic(self, expression: Node) -> None:
        # 0.1 + 0.2 is 0.3 in OPA and 0.30000000000000004 in regorus.
        sides = [find_part(expression, side) for side in ("lhs", "rhs")]
        for kind, inner in map(kind_of, sides):
            if kind == "Number" and "." in self._text(inner):
                self.refuse(
                    expression, "the engines round fractions differently", f"calculate in whole numbers, {_USE_OPA}"
                )
        self._operands |= {id(kind_of(side)[1]) for side in sides}
        match find_part(expression, "op"):
            case "Div" if id(expression) not in self._compared:
                if all(kind_of(side)[0] == "Number" for side in sides) and id(expression) not in self._operands:
                    whole, divisor = (int(self._text(kind_of(side)[1])) for side in sides)
                    if divisor and whole % divisor:
                        self.use.fractions, self._fraction = True, expression
                    return
                self.refuse(
                    expression,
                    "the engines round fractions differently",
                    f"compare it where it is divided (`a / b > 2`), {_USE_OPA}",
                )
            case "Mul" if not self._is_small_product(sides):
                self.refuse(
                    expression,
                    "the engines hold large products differently",
                    f"multiply by a number up to {MAX_FACTOR} that is written there, {_USE_OPA}",
                )
        self._note_calculated(*(side for side in sides if kind_of(side)[0] not in ("ArithExpr", "Set", "SetCompr")))

    def _is_small_product(self, sides: list[object]) -> bool:
        kinds = [kind_of(side) for side in sides]
        factors = [inner for kind, inner in kinds if kind == "Number" and abs(float(self._text(inner))) <= MAX_FACTOR]
        return bool(factors) and not any(
            name == "ArithExpr" and find_part(node, "op") == "Mul" for name, node in walk(sides)
        )

    def _is_set(self, value: object) -> bool:
        kind, inner = kind_of(value)
        return (kind == "Var" and find_part(inner, "value") in self._sets) or self._known_values.is_set(value)

    def _note_counted(self, value: object) -> None:
        if self._is_set(value) or self._known_values.is_collection(value):
            return
        if self._known_values.is_named_like_a_list(value):
            self.use.counts_fields = True
        else:
            self.use.counts = True

    def _note_calculated(self, *values: object) -> None:
        if not self.use.calculates:
            self.use.calculates = not all(self._fits("whole", value) for value in values)

    def _note_printed(self, *values: object) -> None:
        if not self.use.prints:
            self.use.prints = not all(self._fits("s", value) or self._fits("whole", value) for value in values)

    def _text(self, node: object) -> str:
        """Return the source of a node."""
        return self._span_text(find_part(node, "span"))

    def _span_text(self, span: object) -> str:
        start, end = find_part(span, "start"), find_part(span, "end")
        return self._source[start:end].decode() if isinstance(start, int) and isinstance(end, int) else ""

    def _check_not(self, literal: Node) -> None:
        kind, node = kind_of(find_part(literal, "expr"))
        match kind:
            case "RefDot" | "RefBrack" | "Var" | "Bool":
                self._check_reference(find_part(literal, "expr"), literal)
            case "BoolExpr" if find_part(node, "op") == "Eq":
                # `==` with something undefined is false on both, so references may stand here.
                for side in ("lhs", "rhs"):
                    if kind_of(find_part(node, side))[0] in ("RefDot", "RefBrack"):
                        self._check_reference(find_part(node, side), literal)
                    else:
                        self._check_argument(find_part(node, side), literal)
            case "BoolExpr":
                self._check_argument(find_part(node, "lhs"), literal)
                self._check_argument(find_part(node, "rhs"), literal)
            case "Membership":
                for side in ("key", "value", "collection"):
                    if find_part(node, side) is not None:
                        self._check_argument(find_part(node, side), literal)
            case "Call":
                for argument in list_of(find_part(node, "params")):
                    self._check_argument(argument, literal)
            case _:
                self._refuse_not(literal)

    def _check_reference(self, node: object, literal: Node) -> None:
        kind, inner = kind_of(node)
        while kind in ("RefDot", "RefBrack"):
            if kind == "RefBrack":
                self._check_argument(find_part(inner, "index"), literal)
            kind, inner = kind_of(find_part(inner, "refr"))
        if kind not in ("Var", "Bool") or find_part(inner, "value") == "_":
            self._refuse_not(literal)

    def _check_argument(self, node: object, literal: Node) -> None:
        kind, inner = kind_of(node)
        if kind in _SCALARS:
            return
        if kind == "Var":
            name = find_part(inner, "value")
            # The name of a rule or an import stands for a reference, which may be undefined.
            references = (self._rules - self._always_defined) | self._aliases | {"_", "input", "data"}
            if name not in references:
                return
        if kind in ("Array", "Set"):
            for item in list_of(find_part(inner, "items")):
                self._check_argument(item, literal)
            return
        self._refuse_not(literal)

    def _refuse_not(self, literal: Node) -> None:
        self.refuse(
            literal,
            "inside `not` the engines differ where a part is undefined",
            f"bind it first (`x := …` on a line before) and use `x` inside `not`, {_USE_OPA}",
        )

    def _check_with(self, modifiers: Node) -> None:
        for modifier in list_of(modifiers):
            target = find_dotted(find_part(modifier, "refr")) or ""
            if target.partition(".")[0] not in ("input", "data"):
                self.refuse(modifier, f"`with` may not replace {target or 'this'}", "replace only input or data")
            value = (find_dotted(find_part(modifier, "as")) or "").partition(".")[0]
            if value in (_NAMESPACES | self._builtins.pure) - self._rules:
                self.refuse(modifier, "`with` may not put a builtin in another's place", "use a value")

    def _import_alias(self, item: object) -> str:
        span = find_part(item, "as")
        if isinstance(span, dict):
            start, end = span.get("start"), span.get("end")
            return self._source[start:end].decode() if isinstance(start, int) and isinstance(end, int) else ""
        return (find_dotted(find_part(item, "refr")) or "").rpartition(".")[2]


def _is_uneven(depths: set[tuple[int, bool]]) -> bool:
    return any(computed for _, computed in depths) and len({depth for depth, _ in depths}) > 1


def _is_typed(field: object) -> bool:
    from policyd.policy.known_values import is_typed_field

    return is_typed_field(field)


def _field_name(reference: Node) -> object:
    field = find_part(reference, "field")
    return field[1] if isinstance(field, list) and len(field) == 2 else None


def _item_key(field: object) -> object:
    """Return the key of a field of an object as it is written: its place, key and value."""
    return field[1] if isinstance(field, list) and len(field) == 3 else None


def _indexes(node: object) -> list[object]:
    """Return what stands in the brackets of a reference."""
    found = []
    kind, inner = kind_of(node)
    while kind in ("RefDot", "RefBrack"):
        if kind == "RefBrack":
            found.append(find_part(inner, "index"))
        kind, inner = kind_of(find_part(inner, "refr"))
    return found


def _is_plain_path(node: object) -> bool:
    kind, inner = kind_of(node)
    while kind == "RefDot":
        kind, inner = kind_of(find_part(inner, "refr"))
    return kind == "Var"


def _iterates(query: object) -> bool:
    """Say whether a body may have more than one solution."""
    return any(
        kind in ("SomeIn", "SomeVars") or (kind == "RefBrack" and kind_of(find_part(node, "index"))[0] not in _SCALARS)
        for kind, node in walk([query])
    )


def _computed_steps(node: object) -> list[bool]:
    """Say of each step of a reference after its first name, in order, whether its name is computed."""
    steps: list[bool] = []
    kind, inner = kind_of(node)
    while kind in ("RefDot", "RefBrack"):
        steps.append(kind == "RefBrack" and kind_of(find_part(inner, "index"))[0] not in _SCALARS)
        kind, inner = kind_of(find_part(inner, "refr"))
    return steps[::-1]


def _is_constant(rule: object) -> bool:
    """Whether a rule always has a value: `x := {"a", "b"}`, written out without a body, or a set `x contains …`."""
    kind, head = kind_of(find_part(rule, "head"))
    if kind == "Set":
        return True
    return kind == "Compr" and find_part(rule, "bodies") == [] and _is_written_out(find_part(head, "assign", "value"))


def _is_written_out(node: object) -> bool:
    kind, inner = kind_of(node)
    if kind in ("Array", "Set"):
        return all(_is_written_out(item) for item in list_of(find_part(inner, "items")))
    return kind in _SCALARS
