"""What a `condition`, or a `${{ if }}`, asks for: in which builds something runs, and what has to hold first.

A condition is asked twice: in builds of pull requests, which outsiders can start, and in all others. What `and` joins
adds up; of what `or` joins only what all sides ask for that can hold. Where `condition` leaves `succeeded()` out, a job
runs whatever became of those it depends on, so what they ask for counts only where `succeeded()` is said.

Sources: learn.microsoft.com "Specify conditions", "Expressions" (functions, dependencies), "Use predefined variables".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from policyd.models.facts import Guard
from policyd.pipeline.azure.expressions import Node, ParsedExpression, find_marks, parse_expression
from policyd.pipeline.guards import all_of, any_of

#: A build of a pull request, or another one: a push, a schedule, a person.
Build = Literal["pull-request", "other"]
Guards = frozenset[Guard]
#: The guards something asks for in each kind of build that can run it.
Reach = Mapping[Build, Guards]

NONE: Final[Guards] = frozenset()
ANY: Final[Reach] = {"pull-request": NONE, "other": NONE}
#: Names for a person that the person chooses.
_SPOOFABLE = frozenset(("variables.build.requestedfor", "variables.build.sourceversionauthor"))
_PERSONS = _SPOOFABLE | {
    "variables.build.requestedforid",
    "variables.build.requestedforemail",
    "variables.build.queuedby",
    "variables.build.queuedbyid",
}
#: Of a pull request that comes from the repository itself both are the same.
_REPOSITORIES = frozenset(("variables.system.pullrequest.sourcerepositoryuri", "variables.build.repository.uri"))
_STATUS = frozenset(("succeeded", "succeededorfailed", "failed", "always", "canceled"))
_SEPARATORS = frozenset(" ,;|")
_PULL_REF = "refs/pull/merge"
_PARTS = frozenset(("contains", "endswith", "startswith"))
_BRANCHES = frozenset(("variables.build.sourcebranch", "variables.build.sourcebranchname"))
_WHOLE = frozenset(f"refs/heads/{name}" for name in ("main", "master", "trunk", "develop"))
#: The end of a text that names a branch which is usually protected.
_PROTECTED = re.compile(r"(?:^|[/-])(?:main|master|trunk|develop|prod|production|releases?|hotfix|staging)[/-]?\Z")
#: Stands in a literal for a value that is not known.
_HOLE = "\x00"


@dataclass(frozen=True, slots=True)
class Known:
    """What a condition can ask about: what was needed, and variables that are conditions themselves."""

    needs: Sequence[Reach] = ()
    results: Mapping[str, Reach] = field(default_factory=dict)  # by job or stage, in lower case
    roots: Mapping[str, Node] = field(default_factory=dict)  # by variable, in lower case


NOTHING_KNOWN = Known()


def parse_condition(text: str) -> ParsedExpression:
    """Return the parsed condition; `${{ }}` in it counts as what stands between its signs, in quotes as not known."""
    marks = [mark for mark in find_marks(text) if mark.kind == "template"]
    if not marks:
        return parse_expression(text.strip())
    pieces: list[str] = []
    position = 0
    quoted = False
    for mark in marks:
        between = text[position : mark.start]
        quoted ^= between.count("'") % 2 == 1
        pieces += (between, _HOLE if quoted else mark.inner)
        position = mark.end
    pieces.append(text[position:])
    return parse_expression("".join(pieces).strip())


def narrow(reach: Reach, root: Node | None, known: Known = NOTHING_KNOWN, *, holds: bool = True) -> Reach:
    """Return what is asked for where `root` is true (or false) as well; builds in which it can't be are gone."""
    if root is None:
        return reach
    narrowed: dict[Build, Guards] = {}
    for build, guards in reach.items():
        asked = required(root, build, known, holds=holds)
        if asked is not None:
            narrowed[build] = guards | asked
    return narrowed


def default_condition(reach: Reach, known: Known) -> Reach:
    """Return what is asked for where nothing is said: that all that is needed has succeeded."""
    return narrow(reach, _SUCCEEDED, known)


def guards_under(reach: Reach, *, outside: bool) -> tuple[Guard, ...]:
    """Return what an outsider meets. `outside` says that pull requests could start this if the condition let them."""
    guards = reach.get("pull-request")
    if guards is None:
        guards = reach.get("other", NONE) | (frozenset(("event",)) if outside else NONE)
    return tuple(sorted(guards))


def join(reaches: Iterable[Reach]) -> Reach:
    """Return what is asked for where all of `reaches` have to hold."""
    joined: Reach = ANY
    for reach in reaches:
        if joined is ANY:
            joined = reach
        elif reach is not ANY:
            joined = {build: guards | reach[build] for build, guards in joined.items() if build in reach}
    return joined


def required(node: Node, build: Build, known: Known = NOTHING_KNOWN, *, holds: bool = True) -> Guards | None:
    """Return what is asked for so that `node` is true (or false) in a build; `None` where it can't be."""
    constant = _constant(node)
    if constant is not _UNKNOWN:
        return NONE if _truth(constant) is holds else None
    if node.kind == "context":
        root = _root_of(node, known)
        return NONE if root is None else required(root, build, _without_roots(known), holds=holds)
    if node.kind != "call":
        return NONE
    name, below = node.name, node.below
    if name in ("and", "or"):
        sides = (required(side, build, known, holds=holds) for side in below)
        return all_of(sides) if (name == "and") is holds else any_of(sides)
    if name == "not" and len(below) == 1:
        return required(below[0], build, known, holds=not holds)
    if name in ("eq", "ne") and len(below) == 2:
        return _compared(below[0], below[1], build, known, holds=holds is (name == "eq"))
    if name in ("in", "notin") and below:
        is_in = holds is (name == "in")
        sides = (_compared(below[0], side, build, known, holds=is_in) for side in below[1:])
        return any_of(sides) if is_in else all_of(sides)
    if name in ("startswith", "contains", "endswith") and len(below) == 2:
        return _begins(name, below, build, holds=holds)
    if name == "succeeded" and holds:
        if not below:
            return all_of(reach.get(build) for reach in known.needs)
        names = [str(side.value).lower() for side in below if side.kind == "literal"]
        return all_of(known.results[one].get(build) for one in names if one in known.results)
    return NONE


def is_always_true(root: Node) -> bool:
    """Say whether the value is true whatever happens; a bare `true` or `always()` says so itself."""
    if root.kind == "literal" or (root.kind == "call" and root.name in _STATUS):
        return False
    constant = _constant(root)
    return constant is not _UNKNOWN and _truth(constant)


def holds_after_failure(root: Node) -> bool:
    """Say whether the condition plainly asks to run although what is needed has failed: `always()`, also in `and`."""
    if root.kind == "call" and root.name == "and":
        return any(holds_after_failure(side) for side in root.below)
    return root.kind == "call" and root.name in ("always", "succeededorfailed", "failed")


def checks_spoofable_person(root: Node) -> bool:
    """Say whether the expression lets something pass because of a name that a person chooses."""
    for node in _walk(root):
        if node.kind == "call" and node.name in ("eq", "in", "contains", "startswith", "endswith"):
            asked = any(side.name.lower() in _SPOOFABLE for side in node.below if side.kind == "context")
            if asked and any(side.kind == "literal" and side.value for side in node.below):
                return True
    return False


def asks_for_part(root: Node) -> bool:
    """Say whether the expression looks for a text in a longer one that is meant as a list, or as a branch's name."""
    if _asks_for_part_of_branch(root):
        return True
    for node in _walk(root):
        if (
            node.kind == "call"
            and node.name not in ("not", "ne", "eq")
            and any(_asks_for_part_of_branch(side) for side in node.below)
        ):
            return True
        if node.kind == "call" and node.name == "contains" and len(node.below) == 2:
            listed, asked = node.below
            text = listed.value if listed.kind == "literal" and asked.kind == "context" else None
            if isinstance(text, str) and not _SEPARATORS.isdisjoint(text):
                return True
    return False


def _asks_for_part_of_branch(node: Node) -> bool:
    """Say whether branches pass whose names only hold that of a protected one: `feature/main-x`."""
    if node.kind != "call" or node.name not in _PARTS or len(node.below) != 2:
        return False
    asked, literal = node.below
    if asked.kind != "context" or asked.name.lower() not in _BRANCHES or literal.kind != "literal":
        return False
    text = _text(literal.value).lower()
    if text.startswith("refs/") and text.endswith("/"):
        return False  # a folder of branches, which can be protected as one
    if node.name == "startswith":
        return text in _WHOLE
    return _PROTECTED.search(text) is not None


class _Unknown:
    pass


_UNKNOWN: Final = _Unknown()
_SUCCEEDED: Final = Node("call", "succeeded")


def _walk(root: Node) -> Iterator[Node]:
    pending = [root]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(node.below)


def _root_of(node: Node, known: Known) -> Node | None:
    return known.roots.get(".".join(node.parts[1:]).lower()) if node.parts[0].lower() == "variables" else None


def _without_roots(known: Known) -> Known:
    """Return what is known but for variables, so that variables made of each other come to an end."""
    return Known(known.needs, known.results)


def _compared(left: Node, right: Node, build: Build, known: Known, *, holds: bool) -> Guards | None:
    if {left.name.lower(), right.name.lower()} == _REPOSITORIES and build == "pull-request":
        return frozenset(("same-repository",)) if holds else NONE
    context, literal = (left, right) if left.kind == "context" else (right, left)
    if context.kind != "context" or literal.kind != "literal":
        # `eq(true, eq(...))`
        truth = _as_truth(literal.value) if literal.kind == "literal" else None
        return NONE if truth is None else required(context, build, known, holds=holds is truth)
    name, value = context.name.lower(), literal.value
    text = _text(value).lower()
    if _HOLE in text:
        return NONE
    root, truth = _root_of(context, known), _as_truth(value)
    if root is not None and truth is not None:
        return required(root, build, _without_roots(known), holds=holds is truth)
    is_pull_request = build == "pull-request"
    if name == "variables.build.reason":
        return _if(is_pull_request, holds=holds) if text == "pullrequest" else _if_not(is_pull_request, holds=holds)
    if name == "variables.build.sourcebranch":
        return _branch(text, is_pull_request, holds=holds)
    if name == "variables.build.sourcebranchname":
        return _if_not(is_pull_request and text != "merge", holds=holds)
    if name == "variables.system.pullrequest.isfork":
        if truth is None:
            return NONE
        if truth is holds:  # it is a fork
            return NONE if is_pull_request else None
        return frozenset(("same-repository",)) if is_pull_request else NONE
    if name.startswith("variables.system.pullrequest."):
        return _if(is_pull_request, holds=not holds) if text == "" else _if_not(not is_pull_request, holds=holds)
    if name in _PERSONS and name not in _SPOOFABLE:
        return frozenset(("actor",)) if holds and text else NONE
    parts = context.parts
    if parts[0].lower() in ("dependencies", "stagedependencies") and parts[-1].lower() == "result":
        reach = known.results.get(".".join(parts[1:-1]).lower())
        if reach is not None and holds and text in ("succeeded", "succeededwithissues"):
            return reach.get(build)
    return NONE


def _branch(text: str, is_pull_request: bool, *, holds: bool) -> Guards | None:
    if text.startswith("refs/pull/"):
        return NONE
    if is_pull_request:
        return None if holds else NONE
    return frozenset(("protected",)) if holds and text.startswith("refs/heads/") else NONE


def _if(fact: bool, *, holds: bool) -> Guards | None:
    """Return nothing asked for where a comparison that is exactly `fact` can come out as wanted."""
    return NONE if fact is holds else None


def _if_not(excluded: bool, *, holds: bool) -> Guards | None:
    """Return nothing asked for, but `None` where the comparison holds only if `excluded` is not the case."""
    return None if excluded and holds else NONE


def _begins(name: str, below: tuple[Node, ...], build: Build, *, holds: bool) -> Guards | None:
    context, literal = below
    if context.kind != "context" or literal.kind != "literal" or name == "endswith":
        return NONE
    text = _text(literal.value).lower()
    if context.name.lower() != "variables.build.sourcebranch" or not text or _HOLE in text:
        return NONE
    if name == "contains":
        # A pull request's ref is `refs/pull/N/merge`: nothing but that can be found in it.
        return None if holds and build == "pull-request" and text.strip("/0123456789") not in _PULL_REF else NONE
    if build == "pull-request":
        certain = "refs/pull/".startswith(text)
        possible = certain or text.startswith("refs/pull/")
    else:
        certain = "refs/".startswith(text)
        possible = not text.startswith("refs/pull/")
    return None if (certain if not holds else not possible) else NONE


def _constant(node: Node) -> object:
    """Return the value of an expression that reads nothing, else `_UNKNOWN`."""
    if node.kind == "literal":
        return _UNKNOWN if isinstance(node.value, str) and _HOLE in node.value else node.value
    if node.kind != "call":
        return _UNKNOWN
    name = node.name
    if name in ("and", "or"):
        decided = name == "or"
        values = [_constant(side) for side in node.below]
        if any(value is not _UNKNOWN and _truth(value) is decided for value in values):
            return decided
        if decided and _covers_everything(node.below):
            return True
        return _UNKNOWN if _UNKNOWN in values or not values else not decided
    if name == "always":
        return True
    values = [_constant(side) for side in node.below]
    if _UNKNOWN in values:
        return _UNKNOWN
    if name == "not" and len(values) == 1:
        return not _truth(values[0])
    if name in ("eq", "ne") and len(values) == 2:
        return _equal(values[0], values[1]) is (name == "eq")
    if name in ("in", "notin") and values:
        return any(_equal(values[0], value) for value in values[1:]) is (name == "in")
    return _UNKNOWN


def _covers_everything(sides: Iterable[Node]) -> bool:
    """Say whether one of `sides` holds whatever the variable is: `ne(x, 'a')`, `ne(x, 'b')`."""
    differs: dict[str, set[str]] = {}
    for side in sides:
        if side.kind == "call" and side.name == "ne" and [one.kind for one in side.below] == ["context", "literal"]:
            context, literal = side.below
            if isinstance(literal.value, str) and _HOLE not in literal.value:
                differs.setdefault(context.name.lower(), set()).add(literal.value.lower())
    return any(len(texts) > 1 for texts in differs.values())


def _equal(left: object, right: object) -> bool:
    return _text(left).lower() == _text(right).lower()


def _truth(value: object) -> bool:
    return bool(value)


def _text(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)


def _as_truth(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None
