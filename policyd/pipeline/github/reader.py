"""What GitHub workflows and actions have in common: shapes, expressions, variables, references and containers.

A text is looked at with its scope: an `env` variable that holds an outsider's text makes `${{ env.TITLE }}` one too,
and a condition that only a push can meet makes `${{ github.head_ref }}` empty.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, cast

from policyd.models.base import JsonPath
from policyd.models.facts import Container, Guard, Sink, VariableOrigin
from policyd.pipeline.characters import quoted
from policyd.pipeline.fact_book import Around, FactBook
from policyd.pipeline.github.components import OutputKind, find_code_inputs, find_output_kind
from policyd.pipeline.github.conditions import (
    NONE,
    NOTHING_KNOWN,
    Known,
    Reach,
    checks_spoofable_actor,
    guards_under,
    is_outsiders,
    narrow,
    runs_after_failure,
)
from policyd.pipeline.github.contexts import (
    carried,
    find_code,
    find_member_events,
    find_text_events,
    is_any,
    names_ref,
)
from policyd.pipeline.github.expressions import (
    Node,
    ParsedExpression,
    Span,
    find_expressions,
    is_always_true,
    parse_expression,
)
from policyd.pipeline.github.origins import NOTHING, Origin, join
from policyd.pipeline.github.references import parse_image
from policyd.pipeline.links import Argument, Landing
from policyd.pipeline.references import ParsedReference
from policyd.pipeline.shapes import Shapes
from policyd.pipeline.shell import Opaque, ShellCommand
from policyd.pipeline.source_map import SourceMap, Spot
from policyd.pipeline.yaml_reader import YamlDocument

Mapped = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Scope:
    """Where in the file we are, under which events, and what the names there stand for."""

    stage: str = ""
    #: What is asked for under each event that leads here.
    reach: Reach = field(default_factory=dict)
    #: What checks in earlier steps add, as long as a failure ends the stage.
    passed: Reach = field(default_factory=dict)
    #: Events under which something needed is skipped, and with it what needs it.
    skipped: frozenset[str] = frozenset()
    environment: Mapping[str, Origin] = field(default_factory=dict)
    matrix: Mapping[str, Origin] = field(default_factory=dict)
    known: Known = NOTHING_KNOWN
    shell: str = ""
    windows: bool = False

    @property
    def outsiders(self) -> frozenset[str]:
        """The events leading here that an outsider can cause."""
        return frozenset(event for event, guards in self.reach.items() if is_outsiders(event) and "event" not in guards)

    def meets(self, events: frozenset[str]) -> bool:
        """Say whether one of `events` leads here without having been told to be a member's."""
        return any(event in events and "event" not in guards for event, guards in self.reach.items())

    @property
    def guards(self) -> tuple[Guard, ...]:
        """What an outsider meets on the way here."""
        return guards_under(self.reach)


class Found(NamedTuple):
    """An expression in a text, and where its value comes from."""

    span: Span
    parsed: ParsedExpression
    origin: Origin
    untrusted: bool

    @property
    def opaque(self) -> Opaque:
        """The expression as the shell's reader is to see it."""
        secret = next((one for one in self.parsed.flowing if one.startswith("secrets.")), "")
        secret = secret.removeprefix("secrets.") or (self.parsed.flowing[0] if self.origin.secret else "")
        return Opaque(self.span.start, self.span.end, self.untrusted, secret)


class GithubReader(Shapes[JsonPath]):
    """What workflows and actions share: expressions, variables, references, containers."""

    system = "GitHub"

    def __init__(self, document: YamlDocument) -> None:
        self.value = document.value
        self.map = document.source_map
        self.book = FactBook(document.source_map.file)
        self.events: Reach = {}  # all that can start the pipeline
        self.constrained_inputs: frozenset[str] = frozenset()  # that can't be any text; in lower case
        self.fixed_refs: frozenset[str] = frozenset()  # events whose branches the file lists by name
        self.landings: list[Landing] = []
        self.arguments: list[Argument] = []
        #: Where an output of a stage that hands on an outsider's text is set.
        self.crossings: dict[str, tuple[Spot, str]] = {}
        #: What names stand for that later steps and stages know: outputs by context, and ids of steps with the action
        #: they use ("" for a script, whose outputs are all there). Both grow in the order in which things run.
        self.outputs_of_stages: dict[str, Origin] = {}
        self.outputs_of_steps: dict[str, Origin] = {}
        self.actions_of_steps: dict[str, str] = {}

    # Shapes.

    def locate(self, at: JsonPath) -> tuple[SourceMap, JsonPath]:
        """Return a path with the map of the one file that is read."""
        return self.map, at

    def names(self, value: object, path: JsonPath) -> list[str]:
        """Return a name, or a list of them, as a list."""
        if isinstance(value, str):
            return [value]
        items = self.require_list(value, path, "a list")
        return [self.require_text(item, (*path, index), "a name") for index, item in enumerate(items)]

    # Expressions.

    def expressions(self, value: object, path: JsonPath, scope: Scope, sink: Sink) -> list[Found]:
        """Write down every `${{ }}` in `value` and below; return those of `value` itself if it is a text."""
        if isinstance(value, str):
            return self._expressions_in(value, path, scope, sink) if "${{" in value else []
        if isinstance(value, dict):
            for key, item in value.items():
                self.expressions(item, (*path, key), scope, sink)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self.expressions(item, (*path, index), scope, sink)
        return []

    def _expressions_in(self, text: str, path: JsonPath, scope: Scope, sink: Sink) -> list[Found]:
        found = []
        for span in find_expressions(text):
            parsed = parse_expression(span.inner)
            origin = self.origin_of(parsed, scope)
            untrusted = scope.meets(origin.events)
            if parsed.root is None and sink == "script":
                untrusted = True  # what can't be read is not known to be harmless
            found.append(Found(span, parsed, origin, untrusted))
            spot = Spot(path, span.start, span.end)
            self.book.expression(
                text[span.start : span.end],
                spot,
                scope.stage,
                sink,
                contexts=parsed.contexts,
                functions=parsed.functions,
                untrusted=untrusted,
                ternary=parsed.ternary,
                constant=parsed.constant,
                computed=parsed.computed,
                is_open=not untrusted and (origin.open or not origin.parameters <= self.constrained_inputs),
            )
            self._secrets(parsed, spot, scope, sink)
            for parameter in origin.parameters if sink in ("script", "reference") else ():
                self.landings.append(Landing(parameter, sink, scope.stage, spot))
            if untrusted and self.crossings:
                self._cross(parsed, spot, scope, sink)
        return found

    def _cross(self, parsed: ParsedExpression, spot: Spot, scope: Scope, sink: Sink) -> None:
        """Write down that outputs of other stages hand an outsider's text to this one."""
        for context in parsed.flowing:
            if context not in self.crossings:
                continue
            begins, value = self.crossings[context]
            self.book.crossing(
                begins,
                "output",
                context,
                stage=context.split(".")[1],
                into=scope.stage,
                value=value,
                sink=sink,
                place=self.map.place_inside(spot.path, spot.start, spot.end),
            )

    def origin_of(self, parsed: ParsedExpression, scope: Scope) -> Origin:
        """Return where the value of an expression comes from, also by way of names in `scope`."""
        if not parsed.flowing:
            return NOTHING
        for part in parsed.parts:
            # An answer about a pull request that was asked for while the job runs.
            if _PART_OF_ANSWER.fullmatch(part):
                text = "" if part.endswith("sha") else f"{parsed.flowing[0]}.{part}"
                events = scope.outsiders if text else NONE_EVENTS
                return Origin(text, events, frozenset(scope.reach) if "head." in part else NONE_EVENTS, mutable=True)
        if len(parsed.flowing) == 1:
            return self._origin_of_context(parsed.flowing[0], scope, whole=bool(parsed.whole))
        return join(self._origin_of_context(one, scope, whole=one in parsed.whole) for one in parsed.flowing)

    def origin_of_text(self, text: str, scope: Scope) -> Origin:
        """Return where a text with expressions in it comes from."""
        if "${{" not in text:
            return self.names_pull_request(text, scope)
        spans = find_expressions(text)
        origin = join(self.origin_of(parse_expression(span.inner), scope) for span in spans)
        return join((origin, self.names_pull_request(text, scope)))

    def names_pull_request(self, text: str, scope: Scope) -> Origin:
        """Return the origin of a ref of a pull request, as `refs/pull/7/head` or `pull/$NUMBER/merge`."""
        if "pull/" in text and _PULL_REF.search(text):
            # Whoever starts it: the code of a pull request is an outsider's.
            return Origin(code=frozenset(scope.reach), mutable=True)
        return NOTHING

    def _origin_of_context(self, context: str, scope: Scope, *, whole: bool) -> Origin:
        first, _, rest = context.partition(".")
        if first == "github":
            return self._origin_in_event(context, scope, whole=whole)
        if first in ("env", "matrix"):
            names = scope.environment if first == "env" else scope.matrix
            return names.get(rest, NOTHING) if rest not in ("", "*") else join(names.values())
        if first in ("steps", "needs"):
            return self._origin_of_output(context, scope)
        if first == "inputs" and rest:
            return Origin(parameters=frozenset((rest,)))
        return Origin(secret=True) if first == "secrets" else NOTHING

    def _origin_in_event(self, context: str, scope: Scope, *, whole: bool) -> Origin:
        if context == "github.token":
            return Origin(secret=True)
        if context.startswith(_DISPATCHED):
            return Origin(parameters=frozenset((context.removeprefix(_DISPATCHED),)))
        events = find_text_events(context, whole=whole)
        code = find_code(context)
        is_open = self._is_open(context, scope)
        if not events and code is None:
            return Origin(open=True) if is_open else NOTHING
        # The run's own ref and commit are known to be an outsider's only where the event is known.
        by = [event for event in scope.reach if not is_any(event)] if context in _OF_THE_RUN else scope.reach
        names = carried(code.events, by) if code else NONE_EVENTS
        return Origin(
            text=context if events else "",
            events=carried(events, scope.reach) if events else NONE_EVENTS,
            code=names,
            mutable=code is not None and code.mutable and bool(names),
            open=is_open,
        )

    def _is_open(self, context: str, scope: Scope) -> bool:
        """Say whether a member chooses freely what a context holds: a branch's name, unless the file lists branches."""
        known = find_member_events(context)
        events = carried(known, scope.reach) if known else known
        return bool(events - self.fixed_refs if events and names_ref(context) else events)

    def _origin_of_output(self, context: str, scope: Scope) -> Origin:
        outputs = self.outputs_of_stages if context.startswith("needs.") else self.outputs_of_steps
        known = outputs.get(context)
        if known is not None:
            return known
        steps = context.split(".")
        if len(steps) < 3:
            return NOTHING
        beginning = ".".join(steps[:3])
        if len(steps) == 3 or steps[3] == "*":
            known = join(origin for name, origin in outputs.items() if name.startswith(beginning))
        else:
            known = outputs.get(f"{beginning}.*")
        if known is not None and known is not NOTHING:
            return known
        name, used = steps[-1], self.actions_of_steps.get(steps[1]) if steps[0] == "steps" else None
        if used is not None:
            return origin_of_kind(find_output_kind(used, name), used, scope)
        # What an action that is not known hands on is told by the name of the output.
        if "head" in name or (name in _NAMES_OF_CODE and not _LATE_EVENTS.isdisjoint(scope.reach)):
            return Origin(code=scope.outsiders, mutable=True)
        return NOTHING

    def _secrets(self, parsed: ParsedExpression, spot: Spot, scope: Scope, sink: Sink) -> None:
        for context in parsed.contexts:
            first, _, name = context.partition(".")
            if first == "secrets":
                self.book.secret(name or "*", spot, scope.stage, sink)

    # Conditions.

    def condition(self, value: object, path: JsonPath, scope: Scope) -> Scope:
        """Write down an `if`; return the scope behind it, which only the events reach that can meet it."""
        reach = scope.reach
        if value is None:
            return replace(scope, reach=self.with_passed(scope)) if scope.passed or scope.skipped else scope
        if isinstance(value, bool):
            return replace(scope, reach=self.with_passed(scope) if value else {})
        text = self.require_text(value, path, "`if`")
        spans = find_expressions(text)
        whole = not spans or (len(spans) == 1 and spans[0].start == 0 and spans[0].end == len(text))
        inner = [span.inner for span in spans] or [text]
        parsed = [parse_expression(part) for part in inner]
        # GitHub makes a text of marks and anything beside them, were it the line end of a `|` block, and a text that
        # is not empty counts as true.
        root = parsed[0].root if whole else None
        always = not whole or (root is not None and is_always_true(root))
        self._write_condition(text, parsed, Spot(path), scope, always=always)
        if not runs_after_failure(root):
            reach = self.with_passed(scope)
        return replace(scope, reach=reach if always else narrow(reach, root, scope.known))

    def with_passed(self, scope: Scope) -> Reach:
        """Return what is asked for where every step before has succeeded."""
        if not scope.passed and not scope.skipped:
            return scope.reach
        return {
            event: guards | scope.passed.get(event, NONE)
            for event, guards in scope.reach.items()
            if event not in scope.skipped
        }

    def _write_condition(
        self, text: str, parsed: Sequence[ParsedExpression], spot: Spot, scope: Scope, *, always: bool
    ) -> None:
        roots: list[Node] = [part.root for part in parsed if part.root is not None]
        self.book.condition(
            text,
            spot,
            scope.stage,
            always_true=always,
            spoofable_actor=any(checks_spoofable_actor(root) for root in roots),
            substring=any(part.substring for part in parsed),
            ternary=any(part.ternary for part in parsed),
        )
        self.book.expression(
            text,
            spot,
            scope.stage,
            "condition",
            contexts=list(dict.fromkeys(context for part in parsed for context in part.contexts)),
            functions=list(dict.fromkeys(name for part in parsed for name in part.functions)),
            untrusted=any(scope.meets(self.origin_of(part, scope).events) for part in parsed),
            always_true=always,
            computed=any(part.computed for part in parsed),
        )
        for part in parsed:
            self._secrets(part, spot, scope, "condition")

    # Variables.

    def environment(self, value: object, path: JsonPath, scope: Scope) -> Scope:
        """Write down an `env`; return the scope in which its names are known."""
        if value is None:
            return scope
        if isinstance(value, str):
            self.expressions(value, path, scope, "environment")
            return scope
        names = dict(scope.environment)
        for name, item in self.require_mapping(value, path, "`env`").items():
            at = (*path, name)
            text = self.require_text(item, at, f"the variable {quoted(name)}")
            found = self.expressions(text, at, scope, "environment")
            origin = join(one.origin for one in found) if found else NOTHING
            if "pull/" in text:
                origin = join((origin, self.names_pull_request(text, scope)))
            self._variable(name, text, at, scope, "environment", origin)
            if origin is NOTHING:
                names.pop(name, None)
            else:
                names[name] = origin
        return replace(scope, environment=names)

    def inputs(self, value: object, path: JsonPath, scope: Scope, slug: str = "") -> dict[str, str]:
        """Write down a `with`; return the inputs as written. `slug` names the action: some run an input as code."""
        given: dict[str, str] = {}
        code = find_code_inputs(slug, cast("Mapped", value)) if slug and isinstance(value, dict) else None
        for name, item in self.require_mapping(value, path, "`with`").items():
            at = (*path, name)
            text = given[name] = self.require_text(item, at, f"the input {quoted(name)}")
            language = code.get(name.lower()) if code else None
            found = self.expressions(text, at, scope, "input" if language is None else "script")
            origin = join(one.origin for one in found) if found else NOTHING
            self._variable(name, text, at, scope, "input", origin)
            if language:
                self.script(text, at, scope, language, found)
        return given

    def script(
        self, script: str, path: JsonPath, scope: Scope, shell: str, found: Sequence[Found]
    ) -> list[ShellCommand]:
        """Write down and return the commands of a script; see `Steps`, which also looks at what it checks out."""
        return self.book.script(script, Spot(path), self.around(scope, shell, found), [one.opaque for one in found])

    def around(self, scope: Scope, shell: str = "bash", found: Sequence[Found] = ()) -> Around:
        """Return what the book has to know of where a script stands that has the expressions `found` in it."""
        tainted = {name for name, origin in scope.environment.items() if scope.meets(origin.events)}
        if not _HEAD_REF_EVENTS.isdisjoint(scope.reach):
            tainted.add("GITHUB_HEAD_REF")
        secrets = {name for name, origin in scope.environment.items() if origin.secret}
        secrets |= {one.opaque.secret for one in found if one.origin.secret}
        return Around(scope.stage, shell, frozenset(tainted), frozenset(secrets), scope.guards)

    def _variable(
        self,
        name: str,
        value: str,
        path: JsonPath,
        scope: Scope,
        origin: VariableOrigin,
        of: Origin,
    ) -> None:
        self.book.variable(
            name,
            value,
            Spot(path),
            Around(scope.stage, guards=scope.guards),
            origin=origin,
            literal="${{" not in value,
            untrusted=scope.meets(of.events),
            secret=of.secret,
        )

    # References and containers.

    def reference(
        self,
        text: str,
        parsed: ParsedReference,
        path: JsonPath,
        scope: Scope,
        inputs: Mapping[str, str] | None = None,
    ) -> None:
        """Write down what a `uses` or an image names, with the inputs it is given (in the `with` beside it)."""
        around = Around(scope.stage, guards=scope.guards)
        parsed = parsed._replace(computed="${{" in text)
        with_path = (*path[:-1], "with") if inputs else ()
        comment = self.map.comment_after(path)
        self.book.reference(text, parsed, Spot(path), around, comment=comment, inputs=inputs, inputs_at=with_path)

    def container(self, value: object, path: JsonPath, scope: Scope, matrix: Mapping[str, Sequence[str]]) -> None:
        """Write down the container a job runs in or beside."""
        if value is None:
            return
        if isinstance(value, str):
            self.expressions(value, path, scope, "reference")
            self._image(value, path, scope, matrix)
            image, given = value, cast("Mapped", {})
        else:
            given, image_path = self.require_mapping(value, path, "a container"), (*path, "image")
            for name, item in given.items():
                if name not in ("env", "credentials"):
                    self.expressions(item, (*path, name), scope, "reference" if name == "image" else "other")
            image = self.require_text(given.get("image"), image_path, "an image")
            self._image(image, image_path, scope, matrix)
            self.environment(given.get("env"), (*path, "env"), scope)
            self.credentials(given.get("credentials"), (*path, "credentials"), scope)
        options = self.require_text(given.get("options"), (*path, "options"), "`options`")
        volumes = [
            self.require_text(item, (*path, "volumes", index), "a volume")
            for index, item in enumerate(self._texts(given.get("volumes"), (*path, "volumes"), "`volumes`"))
        ]
        self._texts(given.get("ports"), (*path, "ports"), "`ports`")
        words = options.replace("=", " ").lower().split()
        self.book.container_with(
            Container(
                at=(),
                stage=scope.stage,
                image=image,
                options=options,
                privileged="--privileged" in words and "--privileged=false" not in options.lower(),
                volumes=volumes,
            ),
            Spot(path),
            Around(scope.stage, guards=scope.guards),
            options=Spot((*path, "options")),
            volumes=[Spot((*path, "volumes", index)) for index in range(len(volumes))],
        )

    def _texts(self, value: object, path: JsonPath, what: str) -> Sequence[object]:
        """Return a list; an expression that makes one counts as one item."""
        return [value] if isinstance(value, str) and "${{" in value else self.require_list(value, path, what)

    def _image(self, text: str, path: JsonPath, scope: Scope, matrix: Mapping[str, Sequence[str]]) -> None:
        for image in expand_matrix(text, matrix):
            if image:
                self.reference(image, parse_image(image.removeprefix("docker://")), path, scope)

    def credentials(self, value: object, path: JsonPath, scope: Scope) -> None:
        """Write down user names and passwords."""
        if isinstance(value, str):
            self.expressions(value, path, scope, "other")
            return
        for name, item in self.require_mapping(value, path, "`credentials`").items():
            text = self.require_text(item, (*path, name), f"the credential {quoted(name)}")
            found = self.expressions(text, (*path, name), scope, "other")
            self._variable(name, text, (*path, name), scope, "credentials", join(one.origin for one in found))


NONE_EVENTS: frozenset[str] = frozenset()
_DISPATCHED = "github.event.inputs."
_OF_THE_RUN = frozenset(("github.sha", "github.ref", "github.ref_name"))
_HEAD_REF_EVENTS = frozenset(("pull_request", "pull_request_target"))
#: Events that run on the default branch, so that a ref that is looked up is somebody else's.
_LATE_EVENTS = frozenset(("issue_comment", "workflow_run"))
_NAMES_OF_CODE = frozenset(("sha", "ref", "branch", "commit", "commit_sha", "branch_name", "source_branch"))
_PART_OF_ANSWER = re.compile(r"(?:data\.)?(?:head\.(?:sha|ref|label|repo\..*)|title|body)")
_PULL_REF = re.compile(r"\bpull/(?:\$\{\{.{0,200}?\}\}|[^/\s]{1,80})/(?:head|merge)")


def origin_of_kind(kind: OutputKind | None, action: str, scope: Scope) -> Origin:
    """Return where an output of an action comes from; `kind` is what is known of it."""
    if kind is None:
        return NOTHING
    outside = scope.outsiders
    text = f"an output of {action}" if kind in ("text", "ref", "file") else ""
    code = outside if kind in ("ref", "sha") else NONE_EVENTS
    # Asked for while the job runs: it may have changed since the event.
    return Origin(text, outside if text else NONE_EVENTS, code, mutable=bool(code))


def expand_matrix(text: str, matrix: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the values of `${{ matrix.NAME }}` where the file says them; else the text itself."""
    if "${{" not in text:
        return [text]
    spans = find_expressions(text)
    if len(spans) != 1 or spans[0].start != 0 or spans[0].end != len(text):
        return [text]
    first, _, name = spans[0].inner.strip().partition(".")
    return list(dict.fromkeys(matrix[name])) if first == "matrix" and matrix.get(name) else [text]
