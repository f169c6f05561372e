"""Where the values of an Azure pipeline come from: variables, parameters, outputs, and texts made of them.

A text is looked at with its scope: a variable made of an outsider's text is one too, also when a template was given it,
and a condition that no build of a pull request can meet makes a pull request's branch empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from policyd.models.facts import Guard
from policyd.pipeline.azure import conditions
from policyd.pipeline.azure.conditions import ANY, Known, Reach
from policyd.pipeline.azure.expressions import Node, ParsedExpression, find_marks, parse_expression
from policyd.pipeline.azure.parts import Part
from policyd.pipeline.azure.templates import Templates
from policyd.pipeline.azure.trust import (
    ACCESS_TOKEN,
    ENVIRONMENT,
    carries,
    is_predefined,
    is_secret_name,
    names_code,
    names_outsiders_ref,
)
from policyd.pipeline.azure.values import NOTHING, Crossing, Origin, Variables, join
from policyd.pipeline.fact_book import Around

MAX_NESTED = 5  # parameters and variables that an origin is followed through
#: Fields of what a webhook sends that are numbers or digests.
_NUMBERS = frozenset(("id", "number", "iid", "sha", "node_id"))
MAX_LISTED = 50  # parts of an object that an origin is looked for in


@dataclass(frozen=True, slots=True)
class Scope:
    """Where we are, in which builds, and what names hold there. `variables` change while steps are read."""

    stage: str = ""
    group: str = ""
    variables: Variables = field(default_factory=Variables)
    reach: Reach = field(default_factory=lambda: ANY)
    environment: Mapping[str, Origin] = field(default_factory=dict)
    known: Known = field(default_factory=Known)
    choices: Mapping[str, list[str]] = field(default_factory=dict)  # of a matrix, by variable in lower case
    shell: str = "bash"
    windows: bool = False
    outside: bool = False  # pull requests start the pipeline, as the file says
    anyway: bool = False  # the condition holds although what is needed has failed

    @property
    def guards(self) -> tuple[Guard, ...]:
        """What an outsider meets on the way here."""
        return conditions.guards_under(self.reach, outside=self.outside)

    @property
    def untrusted(self) -> bool:
        """Whether an outsider's pull request leads here."""
        return self.outside and "pull-request" in self.reach

    def around(self) -> Around:
        """Return what the book wants to know of something that is no script here."""
        return Around(self.stage, self.shell, guards=self.guards)


class OriginReader:
    """Knows what names stand for at each place. What later jobs may know is added while the earlier are read."""

    def __init__(self, templates: Templates) -> None:
        self.templates = templates
        self.webhooks: set[str] = set()
        self.sources: dict[str, bool] = {}  # pipelines of `resources`, by alias: whether runs of any branch count
        self.fixed_branch = False  # only branches that the file names start it
        self.outputs: dict[str, dict[str, Origin]] = {}  # by job ("stage.job" or "job", lower case), then "step.name"

    def origin_of_variable(self, name: str, scope: Scope) -> Origin:
        """Return where the value of a variable comes from."""
        known = scope.variables.find(name)
        if known is not None:
            return known.origin
        if name.lower() == ACCESS_TOKEN.lower():
            return Origin(secrets=frozenset((ACCESS_TOKEN,)))
        when = carries(name)
        if when == "branch" and self.fixed_branch and not self._is_of_any_run(name):
            when = ""
        if when or names_code(name):
            return Origin(name if when else "", frozenset((when,)) if when else frozenset(), names_code(name))
        if is_secret_name(name) and not is_predefined(name):
            return Origin(secrets=frozenset((name,)))
        return NOTHING

    def _is_of_any_run(self, name: str) -> bool:
        """Say whether a variable tells of the run that starts this one, of whatever branch that is."""
        pieces = name.lower().split(".")
        return pieces[:2] == ["resources", "pipeline"] and self.sources.get(pieces[2], False)

    def origin_of(self, parsed: ParsedExpression, part: Part, scope: Scope, depth: int = 0) -> Origin:
        """Return where the value of an expression comes from."""
        return join(self._origin_of_context(node, part, scope, depth) for node in parsed.flowing)

    def _origin_of_context(self, node: Node, part: Part, scope: Scope, depth: int) -> Origin:
        names = node.parts
        first = names[0].lower()
        if first == "variables" and len(names) > 1:
            return self.origin_of_variable(".".join(names[1:]), scope)
        if first == "dependencies" and len(names) > 3:
            job = f"{scope.group}.{names[1]}" if scope.group else names[1]
            return self._origin_of_output((job, names[1]), names[3:])
        if first == "stagedependencies" and len(names) > 4:
            return self._origin_of_output((f"{names[1]}.{names[2]}", names[2]), names[4:])
        if first == "parameters" and len(names) > 1:
            return self._origin_of_parameter(node, part, scope, depth)
        found = self.templates.find_value(node.name, part) if first in part.names.loops else None
        return self.origin_of_part(found, scope, depth + 1) if found is not None else NOTHING

    def _origin_of_output(self, jobs: Iterable[str], names: tuple[str, ...]) -> Origin:
        pieces = ".".join(names).lower().split(".")
        for job in jobs:
            outputs = self.outputs.get(job.lower())
            if outputs:
                # A deployment job puts the name of the hook in front, a stage that of the job.
                found = outputs.get(".".join(pieces[-2:]))
                if found is not None:
                    return found
        return NOTHING

    def _origin_of_parameter(self, node: Node, part: Part, scope: Scope, depth: int) -> Origin:
        name = node.parts[1]
        if name.lower() in self.webhooks:
            if node.parts[-1].lower() in _NUMBERS:
                return NOTHING
            return Origin(node.name, frozenset(("always",)))
        parameter = self.templates.find_parameter(node.parts, part)
        if parameter is None or parameter.constrained:
            return NOTHING
        origin = NOTHING
        if parameter.value is not None:
            origin = self.origin_of_part(parameter.value, scope, depth + 1)
        if parameter.value is None or not parameter.given:
            number = parameter.value is not None and isinstance(parameter.value.value, int | float)
            is_text = parameter.kind == "string" or (parameter.kind == "" and not number)
            return replace(origin, open=True) if parameter.open and is_text else origin
        if origin.carries:
            crossing = Crossing("call", scope.stage, parameter.name, parameter.value.spot())
            origin = replace(origin, crossings=origin.crossings | {crossing})
        return origin

    def origin_of_part(self, part: Part, scope: Scope, depth: int = 0) -> Origin:
        """Return where the texts of a part come from."""
        if depth > MAX_NESTED:
            return NOTHING
        if isinstance(part.value, str):
            return self.origin_of_text(part.value, part, scope, depth) if "$" in part.value else NOTHING
        return join(
            self.origin_of_text(text, below, scope, depth) for text, below in texts_of(part, MAX_LISTED) if "$" in text
        )

    def origin_of_text(self, text: str, part: Part, scope: Scope, depth: int = 0) -> Origin:
        """Return where a text comes from, written at `part`."""
        origins = []
        for mark in find_marks(text):
            if mark.kind == "macro":
                origins.append(self.origin_of_variable(mark.inner, scope))
            else:
                origins.append(self.origin_of(parse_expression(mark.inner), part, scope, depth))
        if names_outsiders_ref(text):
            origins.append(Origin(code=True))
        return join(origins)

    def origin_in_environment(self, name: str, scope: Scope) -> Origin:
        """Return where the value comes from that a script finds under `name` in its environment."""
        origin = scope.environment.get(name)
        upper = name.upper()
        if origin is None and scope.shell != "bash":  # names in any case there
            origin = next((one for key, one in scope.environment.items() if key.upper() == upper), None)
        if origin is not None:
            return origin
        if name != upper and scope.shell == "bash":
            return NOTHING
        known = scope.variables.find_in_environment(upper)
        if known is not None:
            return replace(known.origin, secrets=frozenset()) if known.origin.secrets else known.origin
        predefined = ENVIRONMENT.get(upper)
        return self.origin_of_variable(predefined, scope) if predefined is not None else NOTHING


def texts_of(part: Part, limit: int | None) -> Iterator[tuple[str, Part]]:
    """Yield the texts of a part and of all below it."""
    pending = [part]
    count = 0
    while pending:
        one = pending.pop()
        count += 1
        if limit is not None and count > limit:
            return
        if one.entries is not None:
            pending.extend(reversed(one.entries.values()))
        elif one.items is not None:
            pending.extend(reversed(one.items))
        elif isinstance(one.value, str):
            yield one.value, one
        elif isinstance(one.value, dict):
            pending.extend(reversed([one.below(name, value) for name, value in one.value.items()]))
        elif isinstance(one.value, list):
            pending.extend(reversed([one.below(index, value) for index, value in enumerate(one.value)]))
