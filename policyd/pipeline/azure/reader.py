"""What all parts of an Azure pipeline have in common: marks, variables, conditions, references, containers.

Each text is looked at with the scope it stands in (`origins.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from policyd.models.facts import Container, Sink, VariableOrigin
from policyd.pipeline.azure import conditions
from policyd.pipeline.azure.conditions import ANY, parse_condition
from policyd.pipeline.azure.expressions import Mark, find_marks, parse_expression
from policyd.pipeline.azure.origins import OriginReader, Scope, texts_of
from policyd.pipeline.azure.parts import UNKNOWN, Part
from policyd.pipeline.azure.references import Repository, parse_image, parse_template
from policyd.pipeline.azure.templates import Template, Templates
from policyd.pipeline.azure.trust import (
    ACCESS_TOKEN,
    is_predefined,
    is_secret_name,
    names_outsiders_ref,
)
from policyd.pipeline.azure.values import Origin, Value, join
from policyd.pipeline.characters import quoted
from policyd.pipeline.effects import FoundEffect
from policyd.pipeline.fact_book import Around, FactBook
from policyd.pipeline.references import ParsedReference
from policyd.pipeline.shell import Opaque
from policyd.pipeline.source_map import Spot

MAX_ROOT_LENGTH = 500  # of a variable that is a condition

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHELLS_WITH_SUBSTITUTION = frozenset(("bash", "pwsh", "powershell"))
_FEW_LETTERS = re.compile(r"[a-z0-9]+\Z")
_WHOLE_VARIABLE = re.compile(r"\$\(([^()]+)\)|\$\[\s*variables(?:\.|\[')([^'\]\s]+)(?:'\])?\s*\]")
#: Commands that scripts put in without a word behind them.
_COMMANDS = frozenset(("arch", "date", "hostname", "id", "ls", "nproc", "pwd", "tty", "uname", "whoami"))


class Found(NamedTuple):
    """A mark in a text, and where its value comes from."""

    mark: Mark
    origin: Origin
    untrusted: bool


class AzureReader(OriginReader):
    """What pipelines, jobs and steps share."""

    def __init__(self, templates: Templates) -> None:
        super().__init__(templates)
        self.book = FactBook(templates.path)
        self.repositories: dict[str, Repository] = {}  # by alias in lower case
        self.images: dict[str, Part] = {}  # `resources: containers`, by alias in lower case
        self._written_images: set[tuple[str, Spot]] = set()
        self.with_secrets: set[str] = set()  # stages that a secret other than the run's own token reaches
        self.exposed: set[str] = set()  # stages in which outsiders' builds reach a secret, token or connection
        self.with_foreign: set[str] = set()  # stages that use a variable which the file does not set
        self._flowed: set[tuple[object, ...]] = set()

    # Marks.

    def marks(self, part: Part, text: str, scope: Scope, sink: Sink, shell: str = "") -> list[Found]:
        """Write down the marks in `text`, which is the scalar at `part`; return them."""
        if "$" not in text:
            return []
        found = []
        for mark in find_marks(text):
            if mark.kind == "macro":
                known = scope.variables.find(mark.inner) is not None or is_predefined(mark.inner)
                if not known and mark.inner not in _COMMANDS:
                    self.with_foreign.add(scope.stage)
                if not _is_macro(mark.inner, scope, shell):
                    continue
                origin = self.origin_of_variable(mark.inner, scope)
                contexts, functions, computed = [f"variables.{mark.inner}"], list[str](), False
            else:
                parsed = parse_expression(mark.inner)
                origin = self.origin_of(parsed, part, scope)
                contexts, functions, computed = list(parsed.contexts), list(parsed.functions), parsed.computed
            untrusted = origin.is_untrusted(scope.reach)
            one = Found(mark, origin, untrusted)
            found.append(one)
            spot = part.spot(mark.start, mark.end)
            self.book.expression(
                text[mark.start : mark.end],
                spot,
                scope.stage,
                sink,
                contexts=contexts,
                functions=functions,
                untrusted=untrusted,
                computed=computed,
                is_open=origin.open and not untrusted,
            )
            for name in sorted(origin.secrets):
                self.secret(name, spot, scope, sink)
            if untrusted and origin.crossings and (scope.stage or sink != "environment"):
                self._cross(one, part, spot, scope, sink)
        return found

    def all_marks(self, part: Part, scope: Scope, sink: Sink = "other") -> None:
        """Write down the marks in all texts of a part."""
        for text, below in texts_of(part, None):
            if "$" in text:
                self.marks(below, text, scope, sink)

    def _cross(self, found: Found, part: Part, spot: Spot, scope: Scope, sink: Sink) -> None:
        """Write down that a stranger's value came here from another stage, or into a template."""
        place = part.file.map.place_inside(spot.path, spot.start, spot.end)
        for crossing in sorted(found.origin.crossings, key=lambda one: (one.kind, one.stage, one.name)):
            if crossing.kind == "call" and crossing.spot.source is part.file.source:
                continue  # used in the file that gives it
            if crossing.kind == "output" and crossing.stage == scope.stage:
                continue
            into = part.file.path if crossing.kind == "call" else scope.stage
            key = (crossing, into, sink, place.line)
            if key in self._flowed:
                continue
            self._flowed.add(key)
            self.book.crossing(
                crossing.spot,
                "call" if crossing.kind == "call" else "output",
                crossing.name,
                stage=crossing.stage,
                into=into,
                value=found.origin.text,
                sink=sink,
                place=place,
            )

    def secret(self, name: str, spot: Spot, scope: Scope, sink: Sink) -> None:
        """Write down that a secret reaches something, once a stage."""
        if name.lower() != ACCESS_TOKEN.lower():
            self.with_secrets.add(scope.stage)
        self.expose(scope)
        self.book.secret_once(name, spot, scope.stage, sink, scope.guards)

    def expose(self, scope: Scope) -> None:
        """Note that a secret, a token or a connection is in reach of an outsider's build, if one leads here."""
        guards = scope.reach.get("pull-request")
        if guards is not None and "same-repository" not in guards:
            self.exposed.add(scope.stage)

    # Conditions.

    def condition(self, part: Part | None, scope: Scope, *, inherits: bool) -> Scope:
        """Write down a `condition`; return the scope behind it.

        `inherits` says that without one what is needed has to have succeeded.
        """
        if part is None:
            if not inherits:
                return scope
            return replace(scope, reach=conditions.default_condition(scope.reach, scope.known))
        resolved = self.templates.resolve(part)
        if resolved.value is UNKNOWN:
            return scope
        text = self.templates.raw(resolved, "`condition`")
        if isinstance(resolved.value, bool):
            return scope if resolved.value else replace(scope, reach={})
        parsed = parse_condition(self.templates.expand(text, resolved) if "${{" in text else text)
        root = parsed.root
        always = root is not None and conditions.is_always_true(root)
        self.book.condition(
            text,
            resolved.spot(),
            scope.stage,
            always_true=always,
            spoofable_actor=root is not None and conditions.checks_spoofable_person(root),
            substring=root is not None and conditions.asks_for_part(root),
        )
        self.book.expression(
            text,
            resolved.spot(),
            scope.stage,
            "condition",
            contexts=parsed.contexts,
            functions=parsed.functions,
            always_true=always,
            computed=parsed.computed,
        )
        self.marks(resolved, text, scope, "condition")
        anyway = root is not None and conditions.holds_after_failure(root)
        return replace(scope, reach=conditions.narrow(scope.reach, root, scope.known), anyway=anyway)

    # Variables.

    def variables(self, part: Part | None, scope: Scope) -> bool:
        """Write down `variables` and set them in the scope; return whether a variable group is among them."""
        if part is None:
            return False
        resolved = self.templates.resolve(part)
        if resolved.is_list:
            return self._listed_variables(resolved, scope)
        for name, below in self.templates.pairs(resolved, "`variables`"):
            self.variable(name, below, scope)
        return False

    def _listed_variables(self, part: Part, scope: Scope) -> bool:
        has_group = False
        for item in self.templates.items(part, "`variables`"):
            entries = self.templates.mapping(item, "a variable")
            if "template" in entries:
                template = self.template(entries, item, scope)
                if template.root is not None:
                    root = self.templates.mapping(template.root, "a template")
                    has_group |= self.variables(root.get("variables"), scope)
            elif "group" in entries:
                has_group = True
                group = self.templates.resolve(entries["group"])
                text = self.templates.text(group, "`group`")
                self.marks(group, self.templates.raw(group, "`group`"), scope, "other")
                if text:
                    # Of which jobs these are the secrets is known where their variables are used.
                    self.book.secret_once(text, group.spot(), scope.stage, "environment")
                    if scope.stage:
                        self.with_secrets.add(scope.stage)
                        self.expose(scope)
            elif "name" in entries:
                name = self.templates.text(entries["name"], "`name`")
                if name:
                    self.variable(name, entries.get("value", item._replace(value=None, entries=None)), scope)
            elif not any("${{" in name for name in entries):
                self.templates.refuse("a variable has neither `name` nor `group` nor `template`", item)
        return has_group

    def variable(self, name: str, part: Part, scope: Scope) -> None:
        """Write down one variable and set it in the scope."""
        part = self.templates.resolve(part)
        if part.is_mapping or part.is_list:
            if not isinstance(part.value, dict) or not any("${{" in key for key in part.value):
                self.templates.refuse(f"the variable {quoted(name)} is a mapping or list, not a text", part)
            return
        text = self.templates.raw(part, f"the variable {quoted(name)}")
        scope = replace(scope, reach=conditions.join((scope.reach, part.reach)))
        found = self.marks(part, text, scope, "environment")
        origin = join(one.origin for one in found)
        if names_outsiders_ref(text):
            origin = join((origin, Origin(code=True)))
        root = None
        if len(found) == 1 and found[0].mark.kind != "macro" and len(text) <= MAX_ROOT_LENGTH:
            root = parse_expression(found[0].mark.inner).root
        if root is not None and conditions.asks_for_part(root):
            self.book.condition(text, part.spot(), scope.stage, substring=True)
        known = self.templates.expand(text, part) if "${{" in text else text
        previous = scope.variables.find(name)
        if previous is not None and part.reach is not ANY:
            origin = join((previous.origin, origin))  # one side of an `if`: the other may be taken
        scope.variables.set(name, Value(origin, known, root))
        if part.reach is not ANY and name.lower().replace("_", ".") == "system.debug":
            return  # asked for, not left on
        self._variable(name, known, part, scope, "environment", origin, literal=not find_marks(text))

    def environment(self, part: Part | None, scope: Scope) -> Scope:
        """Write down an `env`; return the scope in which its names are known."""
        if part is None:
            return scope
        names = dict(scope.environment)
        for name, below in self.templates.pairs(part, "`env`"):
            below = self.templates.resolve(below)
            text = self.templates.raw(below, f"the variable {quoted(name)}")
            found = self.marks(below, text, scope, "environment")
            origin = join(one.origin for one in found)
            if names_outsiders_ref(text):
                origin = join((origin, Origin(code=True)))
            names[name] = origin
            self._variable(name, text, below, scope, "environment", origin, literal=not found)
        return replace(scope, environment=names)

    def inputs(
        self, part: Part | None, scope: Scope, scripts: Mapping[str, str] | None = None
    ) -> dict[str, tuple[str, Part, list[Found]]]:
        """Write down the inputs of a task; return them by name in lower case, with the marks in each.

        `scripts` are the inputs that are scripts, by name in lower case, with the shell that reads each.
        """
        given: dict[str, tuple[str, Part, list[Found]]] = {}
        for name, below in self.templates.pairs(part, "`inputs`"):
            below = self.templates.resolve(below)
            if below.is_mapping or below.is_list:
                self.all_marks(below, scope, "input")
                continue
            text = self.templates.raw(below, f"the input {quoted(name)}")
            shell = (scripts or {}).get(name.lower())
            found = self.marks(below, text, scope, "input" if shell is None else "script", shell or "")
            given[name.lower()] = (text, below, found)
            origin = join(one.origin for one in found)
            if shell is None:
                self._variable(name, text, below, scope, "input", origin, literal=not found)
        return given

    def _variable(
        self,
        name: str,
        value: str,
        part: Part,
        scope: Scope,
        origin: VariableOrigin,
        of: Origin,
        *,
        literal: bool,
    ) -> None:
        self.book.variable(
            name,
            value,
            part.spot(),
            scope.around(),
            origin=origin,
            literal=literal,
            untrusted=of.is_untrusted(scope.reach),
            secret=bool(of.secrets),
        )

    def around(self, script: str, scope: Scope, found: Iterable[Found] = ()) -> Around:
        """Return what the book has to know of a script: which variables of its environment hold what."""
        tainted = set[str]()
        secrets = {name for name, origin in scope.environment.items() if origin.secrets}
        for name in set(_IDENTIFIER.findall(script)):
            origin = self.origin_in_environment(name, scope)
            if origin.is_untrusted(scope.reach):
                tainted.add(name)
            if origin.secrets:
                secrets.add(name)
        secrets |= {name for one in found for name in one.origin.secrets}
        return Around(scope.stage, scope.shell, frozenset(tainted), frozenset(secrets), scope.guards)

    def opaque(self, found: Iterable[Found]) -> list[Opaque]:
        """Return the spans of a script that Azure replaces before a shell reads it."""
        return [
            Opaque(one.mark.start, one.mark.end, one.untrusted, min(one.origin.secrets, default="")) for one in found
        ]

    # References and containers.

    def reference(
        self, text: str, parsed: ParsedReference, part: Part, scope: Scope, inputs: Mapping[str, str] | None = None
    ) -> None:
        """Write down what a name stands for."""
        comment = part.file.map.comment_after(part.path)
        self.book.reference(text, parsed, part.spot(), scope.around(), comment=comment, inputs=inputs)

    def template(self, entries: Mapping[str, Part], part: Part, scope: Scope) -> Template:
        """Write down a `template:` with what it is given; return it."""
        template = self.templates.template(entries, part)
        raw = self.templates.raw(template.part, "`template`")
        self.marks(template.part, raw, scope, "reference")
        given: dict[str, str] = {}
        for name, below in template.given.items():
            resolved = self.templates.resolve(below)
            if not resolved.is_mapping and not resolved.is_list:
                given[name] = self.templates.raw(resolved, f"the parameter {quoted(name)}")
                self.marks(resolved, given[name], scope, "input")
        parsed = parse_template(template.text, template.path, template.alias, self.repositories)
        self.reference(template.text, parsed, template.part, scope, given)
        return template

    def image(self, text: str, part: Part, scope: Scope) -> None:
        """Write down an image by its name, once for each place."""
        spot = part.spot()
        if not text or (text, spot) in self._written_images:
            return
        self._written_images.add((text, spot))
        self.reference(text, parse_image(text), part, scope)

    def container(self, part: Part | None, scope: Scope) -> None:
        """Write down the container a job or step runs in or beside: a name of `resources`, an image, or all of it."""
        if part is None:
            return
        part = self.templates.resolve(part)
        if part.value is UNKNOWN or (part.value is None and part.entries is None):
            return
        if part.is_mapping:
            self._container(part, scope)
            return
        raw = self.templates.raw(part, "`container`")
        self.marks(part, raw, scope, "reference")
        for text in self.expand_choices(self.templates.text(part, "`container`"), scope):
            named = self.images.get(text.lower())
            if named is not None:
                self._container(named, scope)
            elif text:
                self.image(text, part, scope)
                self._write_container(text, part, scope)

    def _container(self, part: Part, scope: Scope) -> None:
        entries = self.templates.mapping(part, "a container")
        alias = entries.get("alias")
        if "image" not in entries and alias is not None:
            named = self.images.get(self.templates.text(alias, "`alias`").lower())
            if named is not None:
                part, entries = named, self.templates.mapping(named, "a container")
        where, texts = part, [""]
        if "image" in entries:
            where = self.templates.resolve(entries["image"])
            self.marks(where, self.templates.raw(where, "`image`"), scope, "reference")
            texts = self.expand_choices(self.templates.text(where, "`image`"), scope)
        elif "repository" in entries:  # of a registry of Azure
            where = self.templates.resolve(entries["repository"])
            registry = self.templates.text(entries.get("registry"), "`registry`")
            repository = self.templates.text(where, "`repository`")
            texts = [f"{registry}/{repository}" if registry else repository]
        for text in texts:
            self.image(text, where, scope)
        options = self.templates.text(entries.get("options"), "`options`")
        volumes = [
            (text, item)
            for item in self.templates.names(entries.get("volumes"), "`volumes`")
            if (text := self.templates.text(item, "`volumes`"))
        ]
        if self.templates.text(entries.get("mapDockerSocket"), "`mapDockerSocket`").lower() == "true":
            volumes.append(("/var/run/docker.sock:/var/run/docker.sock", entries["mapDockerSocket"]))
        self.environment(entries.get("env"), scope)
        for name, below in entries.items():
            if name not in ("image", "env", "container", "repository"):
                self.all_marks(below, scope)
        self._write_container(texts[0], where, scope, options, entries.get("options", where), volumes)

    def _write_container(
        self,
        image: str,
        part: Part,
        scope: Scope,
        options: str = "",
        place: Part | None = None,
        volumes: Sequence[tuple[str, Part]] = (),
    ) -> None:
        """Write down a container; `place` is where its options stand."""
        words = options.lower().split()
        self.book.container_with(
            Container(
                at=(),
                stage=scope.stage,
                image=image,
                options=options,
                privileged="--privileged" in words or "--privileged=true" in words,
                volumes=[text for text, _ in volumes],
            ),
            part.spot(),
            scope.around(),
            options=(place or part).spot(),
            volumes=[item.spot() for _, item in volumes],
        )

    def expand_choices(self, text: str, scope: Scope) -> list[str]:
        """Return what a text can become: a variable of a matrix stands for each of its values."""
        found = _WHOLE_VARIABLE.fullmatch(text.strip())
        name = (found[1] or found[2]).lower() if found else ""
        return scope.choices.get(name) or [self.expand_macros(text, scope)]

    def expand_macros(self, text: str, scope: Scope) -> str:
        """Return a text with the variables replaced that the file writes out."""
        if "$(" not in text:
            return text
        pieces: list[str] = []
        position = 0
        for mark in find_marks(text):
            known = scope.variables.find(mark.inner) if mark.kind == "macro" else None
            if known is not None and known.text and "$" not in known.text:
                pieces += (text[position : mark.start], known.text[:MAX_ROOT_LENGTH])
                position = mark.end
        pieces.append(text[position:])
        return "".join(pieces)

    def effect(self, found: FoundEffect, part: Part, scope: Scope) -> None:
        """Write down something that a setting does."""
        self.book.effect(found, part.spot(), scope.around())


def _is_macro(name: str, scope: Scope, shell: str) -> bool:
    """Say whether `$(name)` is a variable, and not a command that a shell puts in: `$(pwd)` in a script is one."""
    if shell not in _SHELLS_WITH_SUBSTITUTION or _FEW_LETTERS.match(name) is None:
        return True
    return scope.variables.find(name) is not None or is_secret_name(name)
