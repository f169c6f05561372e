"""What passes between the files of a repository: values given to called files, and artifacts of earlier runs.

Every front end says what its file calls, takes and hands on (`links`); here the ends are put together, for all systems
alike. What follows is written down as facts of the file where something can be done about it:

- a stranger's value given to a parameter that lands in a script of the called file is a flow of the caller;
- a checkout whose ref is a parameter that a caller fills with a stranger's code is an untrusted one;
- a called file runs with what its callers have: who can start them, and their powers;
- a trigger whose caller another file proves is no open one;
- an artifact of a run that strangers had a part in, taken by a stage with powers, is a flow of the one that takes it.

Each step is bounded by the number of facts, and circles of calls end where they began.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Container, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from policyd.models.facts import Checkout, Facts, Flow, Guard, StageFact
from policyd.pipeline.links import Argument, Call, HandedFiles, Landing
from policyd.pipeline.reading import ReadPipeline
from policyd.pipeline.source_map import Spot

MAX_FLOWS = 1_000  # added to one file; a file with more says enough
MAX_STEPS = 20_000  # calls followed in all


def link(pipelines: Sequence[ReadPipeline], *, only: Container[int] | None = None) -> list[ReadPipeline]:
    """Return the pipelines, in the same order, with what passes between them among their facts.

    With `only`, those at other indices stay as they are; of them links, stages and places of links are looked at.
    """
    if not any(
        pipeline.links.calls or pipeline.links.files or pipeline.links.feeds or pipeline.links.unproved
        for pipeline in pipelines
    ):
        return list(pipelines)
    return _Linker(pipelines).link(only)


@dataclass(frozen=True, slots=True)
class _Lent:
    """What those callers of a file that a stranger can start bring along: guards that all ask for, powers of any."""

    guards: frozenset[Guard] = frozenset()
    secrets: bool = False
    writes: bool = False
    inside: bool = False  # it runs in a stage that has powers


class _Linker:
    def __init__(self, pipelines: Sequence[ReadPipeline]) -> None:
        self.pipelines = pipelines
        self.by_path = {(pipeline.ref.dialect, pipeline.ref.path): index for index, pipeline in enumerate(pipelines)}
        self.by_name: dict[tuple[str, str], int | None] = {}
        for index, pipeline in enumerate(pipelines):
            for name in dict.fromkeys(pipeline.links.provides):
                key = (pipeline.ref.dialect, name)
                # Of two that have the same name nobody knows which is meant.
                self.by_name[key] = None if key in self.by_name else index
        self.flows: dict[int, list[tuple[Flow, Spot]]] = defaultdict(list)
        self.checkouts: dict[int, set[int]] = defaultdict(set)
        self.stages: dict[int, list[StageFact]] = {}
        self.lent: dict[tuple[int, str], _Lent] = {}  # by file and, where only a part of it is called, its name
        self.landings: dict[int, dict[str, list[Landing]]] = {}
        self.passed_on: dict[int, dict[str, list[Argument]]] = {}
        self.steps = 0
        self.fed: set[tuple[str, str]] = set()  # what is given an outsider's values by a third file

    def link(self, only: Container[int] | None) -> list[ReadPipeline]:
        for index, pipeline in enumerate(self.pipelines):
            for argument in pipeline.links.arguments:
                if argument.value or argument.code:
                    self._follow(index, argument)
        self._feed()
        self._hand_down_powers()
        self._join_artifacts()
        return [
            self._with_findings(index, pipeline) if only is None or index in only else pipeline
            for index, pipeline in enumerate(self.pipelines)
        ]

    def _callee(self, caller: int, path: str) -> int | None:
        pipeline = self.pipelines[caller]
        for name in (path, f"{path}/action.yml", f"{path}/action.yaml"):
            found = self.by_path.get((pipeline.ref.dialect, pipeline.links.root + name.removeprefix("/")))
            if found is not None:
                return found
        return self.by_name.get((pipeline.ref.dialect, path))

    # Values.

    def _feed(self) -> None:
        """Follow values that stand in one file, into another, because a third one says so."""
        feeds = {(pipeline.ref.dialect, *feed): None for pipeline in self.pipelines for feed in pipeline.links.feeds}
        if not feeds:
            return
        held: dict[tuple[str, str], list[tuple[int, Argument]]] = defaultdict(list)
        for index, pipeline in enumerate(self.pipelines):
            for argument in pipeline.links.arguments:
                held[pipeline.ref.dialect, argument.callee].append((index, argument))
        for dialect, holder, callee in feeds:
            for index, argument in held.get((dialect, holder), ()):
                self.fed.add((dialect, callee))
                self._follow(index, replace(argument, callee=callee, name=f"{callee}:{argument.name}"))

    def _follow(self, origin: int, first: Argument) -> None:
        """Write down where a value lands, also by way of files that hand it on."""
        pending: list[tuple[int, Argument]] = [(origin, first)]
        seen: set[tuple[int, str]] = set()
        while pending and self.steps < MAX_STEPS:
            self.steps += 1
            caller, argument = pending.pop()
            callee = self._callee(caller, argument.callee)
            if callee is None or (callee, argument.name) in seen:
                continue
            seen.add((callee, argument.name))
            for landing in self._landings_of(callee, argument.name):
                self._land(origin, first, callee, landing)
            pending += ((callee, further) for further in self._passed_on_by(callee, argument.name))

    def _landings_of(self, index: int, parameter: str) -> list[Landing]:
        if index not in self.landings:
            by_parameter: dict[str, list[Landing]] = defaultdict(list)
            for landing in self.pipelines[index].links.landings:
                by_parameter[landing.parameter].append(landing)
            self.landings[index] = by_parameter
        return self.landings[index].get(parameter, [])

    def _passed_on_by(self, index: int, parameter: str) -> list[Argument]:
        if index not in self.passed_on:
            by_parameter: dict[str, list[Argument]] = defaultdict(list)
            for argument in self.pipelines[index].links.arguments:
                for name in argument.parameters:
                    by_parameter[name].append(argument)
            self.passed_on[index] = by_parameter
        return self.passed_on[index].get(parameter, [])

    def _land(self, origin: int, argument: Argument, callee: int, landing: Landing) -> None:
        if not (argument.code if landing.checkout >= 0 else argument.value):
            return
        if landing.checkout >= 0:
            self.checkouts[callee].add(landing.checkout)
        self._flow(
            origin,
            Flow(
                at=(),
                stage=argument.stage,
                kind="call",
                value=argument.value,
                name=argument.name,
                into=self.pipelines[callee].ref.path,
                sink=landing.sink,
                place=self._place(callee, landing.spot),
            ),
            argument.spot,
        )

    # Powers.

    def _hand_down_powers(self) -> None:
        """Give the stages of called files what their callers have; again where that changes a caller itself."""
        pending = list(range(len(self.pipelines)))
        while pending and self.steps < MAX_STEPS:
            caller = pending.pop()
            for call in self._calls_now(caller):
                self.steps += 1
                callee = self._callee(caller, call.callee)
                if callee is not None and call.untrusted and self._lend(callee, call):
                    pending.append(callee)

    def _calls_now(self, index: int) -> Iterator[Call]:
        """Return the calls of a file, with what its own stages have become by being called."""
        changed = {stage.name: stage for stage in self.stages.get(index, ())}
        for call in self.pipelines[index].links.calls:
            stage = changed.get(call.stage)
            if stage is None or not stage.untrusted:
                outside = call.fed and (self.pipelines[index].ref.dialect, call.callee) in self.fed
                yield replace(call, untrusted=True) if outside else call
            else:
                powers = call.powers or stage.privileged
                yield replace(call, untrusted=True, powers=powers, guards=(*call.guards, *stage.guards))

    def _lend(self, callee: int, call: Call) -> bool:
        """Note what a caller has; return whether that is more than was known."""
        links = self.pipelines[callee].links
        key = (callee, call.callee if call.callee in links.provides else "")
        before = self.lent.get(key)
        known = before or _Lent(guards=frozenset(call.guards))
        lent = _Lent(
            guards=known.guards & frozenset(call.guards),
            secrets=known.secrets or (call.powers and call.secrets),
            writes=known.writes or (call.powers and call.writes),
            inside=known.inside or (call.inside and call.powers and (call.secrets or call.writes)),
        )
        if lent == before:
            return False
        self.lent[key] = lent
        called = links.provides.get(key[1])
        self.stages[callee] = [
            _started_by_callers(stage, lent) if called is None or stage.name in called else stage
            for stage in (self.pipelines[callee].facts.stages if called is None else self._stages_of(callee, called))
        ]
        return True

    def _stages_of(self, index: int, called: Collection[str]) -> list[StageFact]:
        """Return the stages of a file as they have become, those of `called` as they were written."""
        written = {stage.name: stage for stage in self.pipelines[index].facts.stages if stage.name in called}
        return [written.get(stage.name, stage) for stage in self.stages.get(index, self.pipelines[index].facts.stages)]

    # Artifacts.

    def _join_artifacts(self) -> None:
        by_name: dict[tuple[str, str], list[int]] = defaultdict(list)
        for index, pipeline in enumerate(self.pipelines):
            by_name[pipeline.ref.dialect, pipeline.links.name].append(index)
        for index, pipeline in enumerate(self.pipelines):
            taken = [files for files in pipeline.links.files if not files.upload and files.powers]
            for name in pipeline.links.waits_for if taken else ():
                for maker in by_name.get((pipeline.ref.dialect, name), ()):
                    for files in taken:
                        self._take(index, files, maker)

    def _take(self, index: int, taken: HandedFiles, maker: int) -> None:
        for made in self.pipelines[maker].links.files:
            self.steps += 1
            if self.steps > MAX_STEPS:
                return
            if made.upload and made.untrusted and _same_name(taken.name, made.name):
                flow = Flow(
                    at=(),
                    stage=taken.stage,
                    kind="artifact",
                    value=self._place(maker, made.spot),
                    name=made.name,
                    into=taken.stage,
                    sink="other",
                    place=self._place(index, taken.spot),
                )
                self._flow(index, flow, taken.spot)

    # Who calls.

    def _proved(self, index: int) -> set[int]:
        """Return the facts of a file's triggers whose caller another file proves."""
        unproved = self.pipelines[index].links.unproved
        dialect = self.pipelines[index].ref.dialect
        if not unproved:
            return set()
        starts = [
            (asked.items(), proved)
            for other in self.pipelines
            if other.ref.dialect == dialect
            for asked, proved in other.links.starts
        ]
        found = set()
        for fact, labels in unproved:
            ways = {proved for asked, proved in starts if asked <= labels.items()}
            if ways == {True}:
                found.add(fact)
        return found

    # Results.

    def _place(self, index: int, spot: Spot) -> str:
        source = spot.source or self.pipelines[index].source_map
        place = source.place_inside(spot.path, spot.start, spot.end) if spot.start >= 0 else source.place_of(spot.path)
        return f"{place.file}:{place.line}"

    def _flow(self, index: int, flow: Flow, spot: Spot) -> None:
        if len(self.flows[index]) < MAX_FLOWS:
            self.flows[index].append((flow, spot))

    def _with_findings(self, index: int, pipeline: ReadPipeline) -> ReadPipeline:
        flows, stages = self.flows.get(index, []), self.stages.get(index)
        proved = self._proved(index)
        if not flows and stages is None and index not in self.checkouts and not proved:
            return pipeline
        facts, source_map = pipeline.facts, pipeline.source_map
        changes: dict[str, object] = {}
        if flows:
            first = len(facts.flows)
            source_map = source_map.with_more("flows", [spot for _, spot in flows])
            changes["flows"] = facts.flows + [
                flow.model_copy(update={"at": ("flows", first + number)}) for number, (flow, _) in enumerate(flows)
            ]
        if stages is not None:
            changes["stages"] = stages
        if proved:
            changes["triggers"] = [
                trigger.model_copy(update={"authenticated": True}) if number in proved else trigger
                for number, trigger in enumerate(facts.triggers)
            ]
        if index in self.checkouts:
            changes["checkouts"] = _untrusted(facts, self.checkouts[index])
        return replace(pipeline, facts=facts.model_copy(update=changes), source_map=source_map)


def _started_by_callers(stage: StageFact, lent: _Lent) -> StageFact:
    powers = lent.inside or (stage.has_secrets and lent.secrets) or (stage.writes and lent.writes)
    guards = stage.guards if stage.untrusted else sorted({*stage.guards, *lent.guards})
    return stage.model_copy(update={"untrusted": True, "privileged": stage.privileged or powers, "guards": guards})


def _untrusted(facts: Facts, indices: set[int]) -> list[Checkout]:
    return [
        checkout.model_copy(update={"untrusted": True}) if index in indices else checkout
        for index, checkout in enumerate(facts.checkouts)
    ]


def _same_name(taken: str, made: str) -> bool:
    """Say whether an artifact may be the one taken: names may be patterns, or made while it runs."""
    return not taken or not made or taken == made or "${{" in taken + made or fnmatchcase(made, taken)
