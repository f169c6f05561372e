"""Where front ends write down facts, with the place of each, and what follows from them for every system alike.

A front end says what a file holds: scripts with the values expanded in them, variables, references. What a command
does, what a stage is for and what runs of a checkout is worked out here, once for all systems.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from policyd.errors import InputTooLarge
from policyd.models.base import JsonPath
from policyd.models.decision import Place
from policyd.models.facts import (
    ArtifactUse,
    Cache,
    Checkout,
    Command,
    Condition,
    Container,
    Effect,
    Expression,
    Facts,
    Flow,
    Guard,
    Permission,
    Reference,
    SecretUse,
    Sink,
    StageFact,
    Trigger,
    Variable,
    VariableOrigin,
)
from policyd.pipeline.conclusions import Entered, Order, conclude
from policyd.pipeline.effects import (
    FoundEffect,
    find_address_effects,
    find_component_effects,
    find_container_effects,
    find_script_effects,
    find_variable_effects,
)
from policyd.pipeline.references import ParsedReference
from policyd.pipeline.shell import Opaque, ShellCommand, split_arguments, split_script
from policyd.pipeline.slugs import find_slug
from policyd.pipeline.source_map import SourceMap, Spot

MAX_FACTS = 20_000  # of one kind; a real pipeline has some hundred


@dataclass(frozen=True, slots=True)
class Around:
    """What is known where a script or variable stands.

    `tainted` are the variables of the shell that hold an outsider's text, `secrets` those that hold a secret, `guards`
    what has to hold before it runs, `literal` variables whose value the file writes out. `shell` is the program that
    reads scripts, "" where arguments are run as they are.
    """

    stage: str
    shell: str = "bash"
    tainted: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()
    guards: tuple[Guard, ...] = ()
    literal: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()  # of `secrets`, those that hold the path of a file with it


class Script(NamedTuple):
    """A text that a shell reads: the scalar at `spot`, with the spans that something else replaces first."""

    text: str
    spot: Spot
    opaque: Sequence[Opaque] = ()


class FactBook:
    """The lists of facts of one pipeline while they are collected, stage after stage in the order of the file.

    There is a method for what all systems have: scripts, variables, references and containers, whose effects are
    written down with them, and expressions, conditions and secrets. For other facts ask `at` for the place of the next
    one of a list, then append it: `at` is its index.
    """

    def __init__(self, file: str) -> None:
        self._file = file
        self.spots: dict[str, list[Spot]] = defaultdict(list)
        self._orders: dict[str, list[Order]] = defaultdict(list)
        self._count = 0
        self._scripts: dict[tuple[int, JsonPath], int] = {}
        self.may_fail: dict[str, set[str]] = {}  # by stage: needed stages whose failure does not stop it
        self._guards: dict[JsonPath, tuple[Guard, ...]] = {}
        self._entered: list[Entered] = []
        self._secrets_seen: set[tuple[str, str, Sink, tuple[Guard, ...]]] = set()
        self._settled: set[JsonPath] = set()  # containers whose effects are written down
        self._powers: set[tuple[str, str, int, JsonPath]] = set()  # what containers may do, by place
        self.stages: list[StageFact] = []
        self.triggers: list[Trigger] = []
        self.references: list[Reference] = []
        self.commands: list[Command] = []
        self.effects: list[Effect] = []
        self.expressions: list[Expression] = []
        self.checkouts: list[Checkout] = []
        self.caches: list[Cache] = []
        self.artifacts: list[ArtifactUse] = []
        self.flows: list[Flow] = []
        self.permissions: list[Permission] = []
        self.secrets: list[SecretUse] = []
        self.variables: list[Variable] = []
        self.containers: list[Container] = []
        self.conditions: list[Condition] = []

    def at(self, kind: str, spot: Spot) -> JsonPath:
        """Return the path of the next fact of the list `kind`, which stands at `spot`."""
        spots = self.spots[kind]
        if len(spots) >= MAX_FACTS:
            raise InputTooLarge(
                f"the pipeline has more than {MAX_FACTS} {kind}", where=self._file, fix="split the pipeline"
            )
        spots.append(spot)
        self._orders[kind].append(self._order(spot))
        return (kind, len(spots) - 1)

    def runner_at(self, spot: Spot | None) -> JsonPath:
        """Return the path of the place where a stage's runner is chosen, `()` where there is none."""
        return () if spot is None else self.at("runners", spot)

    def _order(self, spot: Spot) -> Order:
        """Return what sorts a new fact among those of all lists: as things happen, also within one script."""
        if spot.start >= 0:
            begun = self._scripts.get((id(spot.source), spot.path))
            if begun is not None:
                return begun, spot.start
        self._count += 1
        return self._count, spot.start

    def enters(self, stage: str, folder: str) -> None:
        """Note that the next script of a stage runs in `folder`, and not in the working tree itself."""
        self._entered.append(Entered(stage, (self._count, 0), folder))

    def script(self, script: str, spot: Spot, around: Around, opaque: Sequence[Opaque] = ()) -> list[ShellCommand]:
        """Write down the commands of the script that is the scalar at `spot`, and what they do; return them."""
        return [command for command, _ in self.scripts([Script(script, spot, opaque)], around)]

    def scripts(self, scripts: Iterable[Script], around: Around) -> list[tuple[ShellCommand, Spot]]:
        """Write down scripts that one shell reads one after the other, so that the next sees what the last one did.

        Return their commands with the place of each.
        """
        pieces: list[Script] = list(scripts)
        starts: list[int] = []
        replaced: list[Opaque] = []
        length = 0
        for text, spot, opaque in pieces:
            self._count += 1
            self._scripts[id(spot.source), spot.path] = self._count
            starts.append(length)
            replaced += (replace(span, start=span.start + length, end=span.end + length) for span in opaque)
            length += len(text) + 1
        joined = "\n".join(piece.text for piece in pieces)
        commands = split_script(joined, replaced, shell=around.shell, max_commands=MAX_FACTS)
        if any(span.secret for span in replaced):
            _name_secrets(commands, joined, [span for span in replaced if span.secret])
        spots: list[Spot] = []
        for command in commands:
            index = bisect_right(starts, command.start) - 1
            text, spot, _ = pieces[index]
            start = command.start - starts[index]
            spots.append(spot._replace(start=start, end=min(command.end - starts[index], len(text))))
        self._commands(commands, spots, around)
        return list(zip(commands, spots, strict=True))

    def arguments(
        self,
        arguments: Sequence[str],
        spot: Spot,
        around: Around,
        words: Sequence[Spot] = (),
        reads: frozenset[str] = frozenset(),
    ) -> list[ShellCommand]:
        """Write down a command given as a list of arguments (not empty), and those of the script in it, if any.

        `words` are the places of the arguments, where each has one: what one of them does stands there. `reads` are
        variables, written as a shell's, that something else fills in.
        """
        commands = split_arguments(arguments, max_commands=MAX_FACTS, reads=reads)
        self._commands(commands, [spot] * len(commands), around, list(zip(arguments, words, strict=bool(words))))
        return commands

    def command(self, command: ShellCommand, spot: Spot, around: Around) -> None:
        """Write down one command and what it does."""
        self._commands([command], [spot], around)

    def _commands(
        self,
        commands: Sequence[ShellCommand],
        spots: Sequence[Spot],
        around: Around,
        words: Sequence[tuple[str, Spot]] = (),
    ) -> None:
        found = find_script_effects(
            commands,
            shell=around.shell,
            tainted=around.tainted,
            secrets=around.secrets,
            literal=around.literal,
            paths=around.paths,
        )
        for command, spot, done in zip(commands, spots, found, strict=True):
            self.commands.append(
                Command(
                    at=self.at("commands", spot),
                    stage=around.stage,
                    text=command.text,
                    program=command.program,
                    argv=command.argv,
                    pipes_to=command.pipes_to,
                    writes_to=command.writes_to,
                    shell=around.shell,
                    untrusted=command.untrusted,
                    reads_untrusted=done.reads_untrusted,
                    reads_secrets=done.reads_secrets,
                )
            )
            if not words:
                self._effects(done.effects, spot, around)
            for effect in done.effects if words else ():
                self._effects([effect], _word_of(effect, words) or spot, around)

    def reference(
        self,
        text: str,
        parsed: ParsedReference,
        spot: Spot,
        around: Around,
        *,
        comment: str = "",
        inputs: Mapping[str, str] | None = None,
        inputs_at: JsonPath = (),
    ) -> None:
        """Write down what `text` names, taken apart; `comment` stands behind it, `inputs` are what it is given.

        What it does follows when the book is closed.
        """
        at = self.at("references", spot)
        self._guards[at] = around.guards
        self.references.append(
            Reference(
                at=at,
                stage=around.stage,
                text=text,
                kind=parsed.kind,
                owner=parsed.owner,
                name=parsed.name,
                ref=parsed.ref,
                local=parsed.local,
                pinned=parsed.pinned,
                computed=parsed.computed,
                comment=comment,
                inputs=dict(inputs or {}),
                inputs_at={name: self.at("inputs", Spot((*inputs_at, name))) for name in inputs or {}}
                if inputs_at
                else {},
                slug=find_slug(parsed),
            )
        )

    def expression(
        self,
        text: str,
        spot: Spot,
        stage: str,
        sink: Sink,
        *,
        contexts: Sequence[str],
        functions: Sequence[str] = (),
        untrusted: bool = False,
        always_true: bool = False,
        ternary: bool = False,
        constant: bool = False,
        computed: bool = False,
        is_open: bool = False,
    ) -> None:
        """Write down a value that the system expands into something, with what it reads."""
        self.expressions.append(
            Expression(
                at=self.at("expressions", spot),
                stage=stage,
                text=text,
                contexts=list(contexts),
                functions=list(functions),
                untrusted=untrusted,
                sink=sink,
                always_true=always_true,
                ternary=ternary,
                constant=constant,
                computed=computed,
                open=is_open,
            )
        )

    def condition(
        self,
        text: str,
        spot: Spot,
        stage: str,
        *,
        always_true: bool = False,
        spoofable_actor: bool = False,
        substring: bool = False,
        ternary: bool = False,
    ) -> None:
        """Write down a condition on a stage or step."""
        self.conditions.append(
            Condition(
                at=self.at("conditions", spot),
                stage=stage,
                text=text,
                always_true=always_true,
                spoofable_actor=spoofable_actor,
                substring=substring,
                ternary=ternary,
            )
        )

    def secret(
        self,
        name: str,
        spot: Spot,
        stage: str,
        sink: Sink,
        *,
        inherited: bool = False,
        guards: Sequence[Guard] = (),
    ) -> None:
        """Write down that a secret reaches something; the name `*` is all of a collection."""
        self.secrets.append(
            SecretUse(
                at=self.at("secrets", spot),
                stage=stage,
                name=name,
                all=name == "*",
                inherited=inherited,
                sink=sink,
                guards=list(guards),
            )
        )

    def secret_once(self, name: str, spot: Spot, stage: str, sink: Sink, guards: Sequence[Guard] = ()) -> None:
        """Write down that a secret reaches something, the first time in a stage for each kind of thing and guard."""
        key = (stage, name, sink, tuple(guards))
        if key not in self._secrets_seen:
            self._secrets_seen.add(key)
            self.secret(name, spot, stage, sink, guards=guards)

    def crossing(
        self,
        begins: Spot,
        kind: Literal["output", "call"],
        name: str,
        *,
        stage: str,
        into: str,
        value: str,
        sink: Sink,
        place: Place,
    ) -> None:
        """Write down that a stranger's value, set at `begins` in `stage`, passed a border: its last step is `place`.

        It lands in the expression that was written down last.
        """
        self.flows.append(
            Flow(
                at=self.at("flows", begins),
                stage=stage,
                kind=kind,
                value=value,
                name=name,
                into=into,
                sink=sink,
                place=f"{place.file}:{place.line}",
                lands=("expressions", len(self.expressions) - 1),
            )
        )

    def variable(
        self,
        name: str,
        value: str,
        spot: Spot,
        around: Around,
        *,
        origin: VariableOrigin = "environment",
        literal: bool,
        untrusted: bool = False,
        secret: bool = False,
    ) -> None:
        """Write down a variable, or an input, and what setting it does."""
        self.variables.append(
            Variable(
                at=self.at("variables", spot),
                stage=around.stage,
                name=name,
                value=value,
                literal=literal,
                origin=origin,
                untrusted=untrusted,
                secret=secret,
            )
        )
        self._effects(find_variable_effects(name, value, origin, literal=literal), spot, around)

    def container(
        self, container: Container, spot: Spot, around: Around, powers: Iterable[tuple[FoundEffect, Spot]]
    ) -> None:
        """Write down a container (its `at` is given here) whose powers are written in places of their own."""
        at = self.at("containers", spot)
        self.containers.append(container.model_copy(update={"at": at}))
        self._settled.add(at)
        for found, place in powers:
            # A container that is written once and used by many stages has its powers once.
            known = (found.kind, found.detail, id(place.source), place.path)
            if known not in self._powers:
                self._powers.add(known)
                self._effects([found], place, around)

    def container_with(
        self, container: Container, spot: Spot, around: Around, *, options: Spot, volumes: Sequence[Spot]
    ) -> None:
        """Write down a container whose options and volumes, as an engine takes them, stand at these places."""
        powers = [
            (found, options) for found in find_container_effects(container.options, [], privileged=container.privileged)
        ]
        for volume, place in zip(container.volumes, volumes, strict=True):
            powers += ((found, place) for found in find_container_effects("", [volume], privileged=False))
        self.container(container, spot, around, powers)

    def effect(self, found: FoundEffect, spot: Spot, around: Around) -> None:
        """Write down something that a component, container or setting does."""
        self._effects([found], spot, around)

    def _effects(self, found: Iterable[FoundEffect], spot: Spot, around: Around) -> None:
        for one in found:
            place = spot
            if one.start >= 0 and spot.start >= 0:
                place = spot._replace(start=spot.start + one.start, end=spot.start + one.end)
            self.effects.append(
                Effect(
                    at=self.at("effects", place),
                    stage=around.stage,
                    kind=one.kind,
                    program=one.program,
                    text=one.text,
                    detail=one.detail,
                    untrusted=one.untrusted,
                    computed=one.computed,
                    secret=one.secret,
                    guards=list(around.guards),
                    confidence=one.confidence,
                )
            )

    def close(self, source_map: SourceMap) -> tuple[Facts, SourceMap]:
        """Return all facts, what follows from them included, and the source map that knows where they stand."""
        self._find_uses()
        conclude(self, self._orders, self._entered)
        facts = Facts(
            stages=self.stages,
            triggers=self.triggers,
            references=self.references,
            commands=self.commands,
            effects=self.effects,
            expressions=self.expressions,
            checkouts=self.checkouts,
            caches=self.caches,
            artifacts=self.artifacts,
            flows=self.flows,
            permissions=self.permissions,
            secrets=self.secrets,
            variables=self.variables,
            containers=self.containers,
            conditions=self.conditions,
        )
        return facts, source_map.with_facts(self.spots)

    def _find_uses(self) -> None:
        """Write down what components and containers do, wherever a front end appended them."""
        for reference in self.references:
            found = find_component_effects(reference.kind, reference.owner, reference.name, reference.inputs)
            self._effects_of(reference.at, reference.stage, found)
            self._effects_of(reference.at, reference.stage, find_address_effects(reference.text))
        for container in self.containers:
            if container.at in self._settled:
                continue
            found = find_container_effects(container.options, container.volumes, privileged=container.privileged)
            self._effects_of(container.at, container.stage, found)

    def _effects_of(self, at: JsonPath, stage: str, found: Iterable[FoundEffect]) -> None:
        kind, index = str(at[0]), int(at[1])
        spot, order = self.spots[kind][index], self._orders[kind][index]
        for one in found:
            self._effects([one], spot, Around(stage, guards=self._guards.get(at, ())))
            self._orders["effects"][-1] = order


def _word_of(effect: FoundEffect, words: Sequence[tuple[str, Spot]]) -> Spot | None:
    """Return the place of the argument that an effect is told by, `None` where it is told by all together."""
    if not words or not effect.detail:
        return None
    whole = (spot for word, spot in words if word == effect.detail)
    return next(whole, None) or next((spot for word, spot in words if effect.detail in word), None)


def _name_secrets(commands: Sequence[ShellCommand], script: str, spans: Sequence[Opaque]) -> None:
    """Say of commands, and of variables that are set, that they read the secrets put into their text."""
    starts = [span.start for span in spans]
    texts = {script[span.start : span.end]: span.secret for span in spans}
    for command in commands:
        first, last = bisect_left(starts, command.start), bisect_left(starts, command.end)
        command.reads |= {span.secret for span in spans[first:last]}
        if command.stdin_at >= 0:
            first = bisect_left(starts, command.stdin_at)
            last = bisect_left(starts, command.stdin_at + len(command.stdin))
            command.reads |= {span.secret for span in spans[first:last]}
        command.sets = [
            one._replace(reads=one.reads | {name for text, name in texts.items() if text in one.value})
            for one in command.sets
        ]
