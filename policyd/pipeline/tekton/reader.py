"""What tasks, pipelines and triggers have in common: shapes, marks, parameters, references.

A text is looked at with its scope: what its parameters are made of, and who can start what it is part of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from policyd.models.base import JsonPath
from policyd.models.facts import Guard, Sink
from policyd.pipeline.effects import FoundEffect
from policyd.pipeline.fact_book import Around, FactBook
from policyd.pipeline.links import Argument, Call, Landing
from policyd.pipeline.references import ParsedReference
from policyd.pipeline.shapes import Shapes
from policyd.pipeline.source_map import SourceMap, Spot
from policyd.pipeline.tekton.marks import Mark, find_marks, parameter_of
from policyd.pipeline.tekton.objects import Part
from policyd.pipeline.tekton.origins import NOTHING, OPEN, Origin, join
from policyd.pipeline.tekton.parameters import find_parameter_effects
from policyd.pipeline.tekton.trust import origin_in_body, origin_of_template

Origins = Mapping[str, Origin]
MAX_VALUE = 4096  # characters of a value put together of others


@dataclass(frozen=True, slots=True)
class Scope:
    """Where in the file we are, what the names there stand for, and who can start it."""

    stage: str = ""
    params: Origins = field(default_factory=dict)
    template: Origins | None = None  # `tt.params` of a template of a trigger
    results: Origins = field(default_factory=dict)  # by context: "tasks.t.results.r"
    #: Whether the body of an event is known to come from where it says. `None` where there is none.
    event_proved: bool | None = None
    overlays: Origins = field(default_factory=dict)  # `extensions.x`, which filters of a trigger make
    outside: bool = False  # strangers can start it
    stale: bool = False  # a label lets them, which may be older than the code
    guards: tuple[Guard, ...] = ()
    owner: str = ""  # the named object we are in, "task/build", whose parameters callers elsewhere give

    def around(
        self,
        shell: str = "sh",
        tainted: frozenset[str] = frozenset(),
        secrets: frozenset[str] = frozenset(),
    ) -> Around:
        """Return what the book wants to know of what stands here."""
        return Around(self.stage, shell, tainted, secrets, self.guards)


class Found(NamedTuple):
    """A mark in a text, and where its value comes from."""

    mark: Mark
    origin: Origin
    untrusted: bool


class TektonReader(Shapes[Part]):
    """What all parts of a file share."""

    system = "Tekton"

    def __init__(self, path: str, source_map: SourceMap, *, templates: bool) -> None:
        self.map = source_map
        self.templates = templates  # `{{ }}` is replaced before anything is read
        self.any_run = False  # what stands here may be part of runs of other files
        self.book = FactBook(path)
        self.landings: list[Landing] = []
        self.arguments: list[Argument] = []
        self.calls: list[Call] = []
        self.starts_elsewhere: list[tuple[dict[str, str], bool]] = []  # triggers picked by labels; whether it proves
        self.unproved: list[tuple[int, dict[str, str]]] = []  # facts of triggers, and their labels
        self.feeds: list[tuple[str, str]] = []  # bindings and templates that triggers join
        self.provided: dict[str, list[str]] = defaultdict(list)  # named objects, and their stages
        #: Where a result that hands on an outsider's text is made, and what the text begins as.
        self.crossings: dict[str, tuple[Spot, str]] = {}
        self._crossed: set[tuple[str, str, Sink]] = set()
        self._settled: set[JsonPath] = set()  # values of parameters that were looked at
        self.with_secrets: set[str] = set()  # stages that secrets reach

    # Shapes.

    def locate(self, at: Part) -> tuple[SourceMap, JsonPath]:
        """Return where a part of the one file stands."""
        return self.map, at.path

    def entries(self, part: Part | None, what: str) -> dict[str, Part]:
        """Return the parts of a mapping by name; nothing at all is an empty one."""
        if part is None:
            return {}
        return {
            name: Part(value, (*part.path, name))
            for name, value in self.require_mapping(part.value, part, what).items()
        }

    def items(self, part: Part | None, what: str) -> list[Part]:
        """Return the parts of a list; nothing at all is an empty one."""
        if part is None:
            return []
        given = self.require_list(part.value, part, what)
        return [Part(value, (*part.path, index)) for index, value in enumerate(given)]

    def text(self, part: Part | None, what: str) -> str:
        """Return a scalar as its characters. Nothing at all is an empty text."""
        return self.require_text(part.value, part, what) if part is not None else ""

    def below(self, part: Part | None, what: str, *names: str) -> Part | None:
        """Return the part that lies below under `names`, `None` where there is none."""
        for name in names:
            part = self.entries(part, what).get(name)
        return part

    def named(self, part: Part | None, what: str) -> Iterator[tuple[str, dict[str, Part], Part]]:
        """Yield the entries of a list of mappings with names."""
        for item in self.items(part, what):
            fields = self.entries(item, f"an entry of {what}")
            yield self.text(fields.get("name"), f"`name` in {what}"), fields, item

    # Marks.

    def expressions(self, part: Part, scope: Scope, sink: Sink, *, written: bool = True) -> list[Found]:
        """Return the marks in a text; write them down as facts if `written`."""
        text = part.value
        if not isinstance(text, str):
            return []
        found = []
        for mark in find_marks(text, templates=self.templates):
            origin = self.origin_of_mark(mark, scope)
            untrusted = bool(origin.text)
            found.append(Found(mark, origin, untrusted))
            if written:
                self._write(mark, origin, text, part, scope, sink, untrusted=untrusted)
        return found

    def all_expressions(self, part: Part, scope: Scope, sink: Sink) -> None:
        """Write down the marks in all texts of a part."""
        pending = [part]
        while pending:
            one = pending.pop()
            if isinstance(one.value, str):
                self.expressions(one, scope, sink)
            elif isinstance(one.value, dict):
                pending.extend(Part(item, (*one.path, name)) for name, item in reversed(one.value.items()))
            elif isinstance(one.value, list):
                pending.extend(Part(item, (*one.path, index)) for index, item in reversed(list(enumerate(one.value))))

    def _write(
        self, mark: Mark, origin: Origin, text: str, part: Part, scope: Scope, sink: Sink, *, untrusted: bool
    ) -> None:
        spot = Spot(part.path, mark.start, mark.end)
        begins = [one for one in (origin.text, origin.via) if one and one != mark.context]
        self.book.expression(
            text[mark.start : mark.end],
            spot,
            scope.stage,
            sink,
            contexts=[mark.context, *begins],
            untrusted=untrusted,
            is_open=origin.open and not untrusted,
        )
        if sink != "environment":
            for parameter in origin.parameters:
                self.landings.append(Landing(parameter, sink, scope.stage, spot))
        if untrusted and origin.via in self.crossings:
            self._cross(origin.via, spot, scope, sink)

    def _cross(self, via: str, spot: Spot, scope: Scope, sink: Sink) -> None:
        """Write down that the result of another task hands an outsider's text to this one.

        Each script that it lands in counts, what else takes it counts once.
        """
        if sink != "script" and (via, scope.stage, sink) in self._crossed:
            return
        self._crossed.add((via, scope.stage, sink))
        begins, value = self.crossings[via]
        self.book.crossing(
            begins,
            "output",
            via,
            stage=via.split(".")[1],
            into=scope.stage,
            value=value,
            sink=sink,
            place=self.map.place_inside(spot.path, spot.start, spot.end),
        )

    def origin_of_mark(self, mark: Mark, scope: Scope) -> Origin:
        """Return where the value of a mark comes from."""
        context = mark.context
        if mark.template:
            return origin_of_template(context, outside=scope.outside or self.any_run)
        first, _, rest = context.partition(".")
        parameter = parameter_of(context)
        if parameter:
            return _find(scope.params, parameter) or OPEN
        if context.startswith("tt.params."):
            name = context.removeprefix("tt.params.")
            return (_find(scope.template, name) if scope.template is not None else None) or OPEN
        if first in ("tasks", "finally"):
            return self._origin_of_result(context, scope)
        if first == "steps":
            return scope.results.get(context, NOTHING)
        if first == "extensions":
            return _find(scope.overlays, rest) or (NOTHING if scope.event_proved else Origin(text=context))
        if first in ("body", "header", "event") and scope.event_proved is not None:
            proved = origin_in_body(context) if first == "body" else NOTHING
            # Of an event that nobody proves all is a stranger's text. Whose code it then names, the trigger as a whole
            # answers for: who has other means to keep strangers from it has them for its checkouts, too.
            return proved if scope.event_proved else replace(proved, text=context, field=context)
        return NOTHING

    @staticmethod
    def _origin_of_result(context: str, scope: Scope) -> Origin:
        found = scope.results.get(context)
        while found is None and context.count(".") > 3:
            context = context.rpartition(".")[0]  # a key of an object
            found = scope.results.get(context)
        return found or NOTHING

    def origin_of(self, value: object, scope: Scope) -> Origin:
        """Return where a value with marks in it comes from; of a list or mapping, where any part of it does."""
        if isinstance(value, str):
            return self.origin_of_text(value, scope)
        if isinstance(value, dict | list):
            parts = value.values() if isinstance(value, dict) else value
            return replace(join(self.origin_of(one, scope) for one in parts), value=None)
        return Origin(value="" if value is None else str(value).lower() if isinstance(value, bool) else str(value))

    def origin_of_text(self, text: str, scope: Scope) -> Origin:
        """Return where a text comes from, with its value if the file says all of it."""
        marks = find_marks(text, templates=self.templates)
        if not marks:
            return Origin(value=text)
        found = [self.origin_of_mark(mark, scope) for mark in marks]
        value, position = "", 0
        known: str | None = None
        if all(origin.value is not None for origin in found):
            for mark, origin in zip(marks, found, strict=True):
                value += text[position : mark.start] + (origin.value or "")
                position = mark.end
            known = (value + text[position:])[:MAX_VALUE]
        whole = len(marks) == 1 and (marks[0].start, marks[0].end) == (0, len(text))
        at = found[0].at if whole else ()
        return replace(join(found), value=known, field=found[0].field if whole else "", at=at)

    # Parameters.

    def declared(self, part: Part | None, given: Origins, scope: Scope, *, embedded: bool, owner: str) -> Origins:
        """Return the parameters of a task or pipeline: as given, else by default, else whatever the caller says.

        An `embedded` one has no callers but the one it stands in, and sees its parameters as well. Whoever starts a
        named one chooses those that nobody in the file gives.
        """
        params: dict[str, Origin] = dict(scope.params) if embedded else {}
        for name, fields, item in self.named(part, "`params`"):
            if not name:
                self.refuse("a parameter has no `name`", item)
            default = fields.get("default")
            limited = bool(self.items(fields.get("enum"), "`enum`"))
            if default is not None:
                self._parameter_default(name, default, scope)
                self._settings(name, default, scope)
            known = self.origin_of(default.value, scope) if default is not None else OPEN
            if default is not None and not known.at:
                known = replace(known, at=default.path)
            if name in given:
                origin = given[name]
            elif embedded:
                origin = params.get(name) or known
            else:
                origin = replace(known, open=True, parameters=frozenset((f"{owner}:{name}",)))
            params[name] = Origin(code=origin.code, mutable=origin.mutable) if limited else origin
        return params

    def _parameter_default(self, name: str, default: Part, scope: Scope) -> None:
        if isinstance(default.value, str):
            literal = not find_marks(default.value, templates=self.templates)
            self.expressions(default, scope, "input")
            self._variable(name, default.value, default, scope, NOTHING, literal=literal)

    def origins_given(self, part: Part | None, scope: Scope, what: str = "`params`") -> dict[str, Origin]:
        """Return where each value given to a parameter comes from."""
        return {
            name: self.origin_of(fields["value"].value, scope)
            for name, fields, _ in self.named(part, what)
            if name and "value" in fields
        }

    def given(self, part: Part | None, scope: Scope, what: str = "`params`") -> dict[str, Origin]:
        """Write down values given to parameters; return where each comes from."""
        found = {}
        for name, fields, item in self.named(part, what):
            value = fields.get("value")
            if value is None:
                continue
            if not name:
                self.refuse("a parameter has no `name`", item)
            self.all_expressions(value, scope, "input")
            origin = self.origin_of(value.value, scope)
            origin = origin if origin.at else replace(origin, at=value.path)
            found[name] = origin
            self._settings(name, value, scope)
            if isinstance(value.value, str):
                literal = not find_marks(value.value, templates=self.templates)
                self._variable(name, value.value, value, scope, origin, literal=literal)
        return found

    def _settings(self, name: str, part: Part, scope: Scope) -> None:
        """Write down what the value of a parameter, or each of them, tells programs to do."""
        parts = self.items(part, "a value") if isinstance(part.value, list) else [part]
        for one in parts:
            if isinstance(one.value, str) and one.path not in self._settled:
                self._settled.add(one.path)
                self.effects(find_parameter_effects(name, one.value), one, scope)

    def _variable(self, name: str, value: str, part: Part, scope: Scope, origin: Origin, *, literal: bool) -> None:
        untrusted = bool(origin.text)
        self.book.variable(
            name, value, Spot(part.path), scope.around(), origin="input", literal=literal, untrusted=untrusted
        )

    def texts_of(self, part: Part | None, scope: Scope, what: str) -> tuple[dict[str, str], dict[str, Part]]:
        """Return parameters as texts, with values put in where the file says them, and where each stands."""
        texts, parts = {}, {}
        for name, fields, _ in self.named(part, what):
            value = fields.get("value")
            if value is not None and isinstance(value.value, str):
                known = self.origin_of_text(value.value, scope)
                texts[name] = known.value or value.value
                parts[name] = value
            elif value is not None and not isinstance(value.value, dict | list):
                texts[name] = self.text(value, what)
                parts[name] = value
        return texts, parts

    # Secrets and references.

    def secret(self, name: str, spot: Spot, scope: Scope, sink: Sink) -> None:
        """Write down that a secret reaches something, each once a stage and sink."""
        self.with_secrets.add(scope.stage)
        self.book.secret_once(name, spot, scope.stage, sink)

    def reference(
        self, parsed: ParsedReference, part: Part, scope: Scope, inputs: Mapping[str, str] | None = None
    ) -> None:
        """Write down what a name stands for; what comes without encryption can be changed on the way."""
        comment = self.map.comment_after(part.path)
        self.book.reference(parsed.text, parsed, Spot(part.path), scope.around(), comment=comment, inputs=inputs)
        if parsed.insecure:
            self.effects([FoundEffect("insecure-url", parsed.text, text=parsed.text)], part, scope)

    def effects(self, found: Iterable[FoundEffect], part: Part, scope: Scope) -> None:
        """Write down what a setting does."""
        for one in found:
            self.book.effect(one, Spot(part.path), scope.around())

    def call(self, callee: str, given: Origins, spot: Spot, scope: Scope) -> None:
        """Note that an object is used that this file does not hold, and with what, where that is worth following."""
        self.calls.append(Call(callee, scope.stage, inside=True))
        for name, origin in given.items():
            if origin.text or origin.code or origin.parameters:
                self.arguments.append(
                    Argument(callee, f"{callee}:{name}", origin.text, origin.code, origin.parameters, scope.stage, spot)
                )


def _find(origins: Origins | None, name: str) -> Origin | None:
    """Return what a name stands for; `a.b` may be the parameter of that name, or a key of the parameter `a`."""
    if origins is None:
        return None
    while name:
        if name in origins:
            return origins[name]
        name = name.rpartition(".")[0]
    return None
