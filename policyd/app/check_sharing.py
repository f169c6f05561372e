"""Many files judged by several processes at once, with the same answer as one process gives.

Each process is a fork that reads its share, tells the others what ties its files to theirs (`Links`, and the stages
that callers may change), judges its share with a rule process of its own and hands back its decisions. What passes
between files is put together by each of them from the same list, so it comes out alike.

Whatever goes wrong in a process, an error of policyd included, the whole is judged again by one process alone, which
says it in the way it always does. A process that is left alone reads the end of its pipe, and ends.
"""

from __future__ import annotations

import functools
import gc
import os
import pickle
import signal
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from policyd.app.check_cache import Known
from policyd.app.check_sources import Source
from policyd.app.judging import Judge, make_repository
from policyd.models.base import JsonPath
from policyd.models.decision import Decision, Place
from policyd.models.facts import Facts
from policyd.pipeline.kinds import DIALECTS, find_dialect
from policyd.pipeline.linking import link
from policyd.pipeline.reading import ReadPipeline
from policyd.pipeline.source_map import SequenceNode, SourceMap, Spot
from policyd.report.findings import Unreadable

MIN_SHARE = 20  # files; starting a process and its rule process takes as long as these
MAX_PROCESSES = 4  # as many rule processes, at some 30 MB each

#: The decision on a file with what reading it showed, or why it could not be read.
Answer = tuple[Decision, Known] | Unreadable


def count_processes(sources: Sequence[Source]) -> int:
    """Return how many processes should share the files; 1 where one process should do it all.

    A file that was named stops the check where it can't be read, so its turn matters; and only a process with one
    thread can be forked.
    """
    if threading.active_count() > 1 or any(source.named for source in sources) or not hasattr(os, "fork"):
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, MAX_PROCESSES, len(sources) // MIN_SHARE))


def judge_shared(
    judge: Judge,
    sources: Sequence[Source],
    *,
    processes: int,
    now: datetime,
    weakened: tuple[str, ...],
    root: Path,
) -> list[Answer] | None:
    """Return the decision on each file, or why it could not be read, in their order; None where a process failed.

    No engine of `judge` may have been asked before: each process has its own.
    """
    work = _Work(judge, sources, processes, now, weakened, root)
    gc.freeze()  # what is there already stays in pages that all processes share
    try:
        with ExitStack() as stack:
            others = [stack.enter_context(_Process(work, number)) for number in range(1, processes)]
            own = work.read(0)
            tied = work.collect([work.tie(own), *(other.receive_ties() for other in others)])
            for other in others:
                other.send(tied)
            answers: list[Answer | None] = [None] * len(sources)
            answers[0::processes] = work.judge_share(0, own, tied)
            for number, other in enumerate(others, start=1):
                answers[number::processes] = other.receive_answers()
    except (_ProcessFailedError, OSError):
        return None
    finally:
        gc.unfreeze()
    return [answer for answer in answers if answer is not None]


class _ProcessFailedError(Exception):
    """A process did not hand back what it should have."""


#: A file as others need to know it, and None for one that can't be read.
Tied = ReadPipeline | None


@dataclass(frozen=True, slots=True)
class _Work:
    """What all processes know alike: process `number` has the files number, number + processes, …"""

    judge: Judge
    sources: Sequence[Source]
    processes: int
    now: datetime
    weakened: tuple[str, ...]
    root: Path

    def begin_anew(self) -> None:
        """Start engines that are this process's own, while it reads its share."""
        self.judge.forget()
        first = self.sources[0]
        self.judge.begin(find_dialect(first.shown, first.content) or DIALECTS[0])

    def read(self, number: int) -> list[ReadPipeline | Unreadable]:
        return [source.read() for source in self.sources[number :: self.processes]]

    def tie(self, read: Sequence[ReadPipeline | Unreadable]) -> list[Tied]:
        return [None if isinstance(one, Unreadable) else _tied(one) for one in read]

    def collect(self, shares: Sequence[Sequence[Tied]]) -> list[Tied]:
        """Return the files of all shares in the order in which they were found."""
        tied: list[Tied] = [None] * len(self.sources)
        for number, share in enumerate(shares):
            tied[number :: self.processes] = share
        return tied

    def judge_share(self, number: int, read: Sequence[ReadPipeline | Unreadable], tied: Sequence[Tied]) -> list[Answer]:
        """Return the answers for the files of one share, all of which know all of the repository."""
        everything = list(tied)
        everything[number :: self.processes] = [None if isinstance(one, Unreadable) else one for one in read]
        known = [(index, pipeline) for index, pipeline in enumerate(everything) if pipeline is not None]
        own = {place for place, (index, _) in enumerate(known) if index % self.processes == number}
        pipelines = [pipeline for _, pipeline in known]
        repository, linked = make_repository(pipelines), link(pipelines, only=own)
        by_index = {index: linked[place] for place, (index, _) in enumerate(known) if place in own}
        answers: list[Answer] = []
        for position, one in enumerate(read):
            index = number + position * self.processes
            if isinstance(one, Unreadable):
                answers.append(one)
                continue
            decision = self.judge.judge_pipeline(
                by_index.pop(index),
                repository,
                now=self.now,
                weakened=self.weakened,
                file=self.sources[index].from_root(self.root),
            )
            answers.append((decision, Known.of(one)))
        return answers


class _Process:
    """A fork that does one share. A context manager: on leaving it has ended, whatever became of it."""

    def __init__(self, work: _Work, number: int) -> None:
        self._work = work
        self._number = number
        self._pid = 0
        self._files: list[BinaryIO] = []

    def __enter__(self) -> Self:
        there, here = os.pipe(), os.pipe()  # orders to it, answers from it
        self._pid = os.fork()
        if self._pid == 0:
            self._serve(there, here)
        os.close(there[0])
        os.close(here[1])
        self._files = [os.fdopen(there[1], "wb"), os.fdopen(here[0], "rb")]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files:
            with suppress(OSError):
                file.close()
        if kind is not None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)  # its rule process reads the end of its pipe
        os.waitpid(self._pid, 0)

    def send(self, tied: Sequence[Tied]) -> None:
        """Tell it of all files."""
        pickle.dump(tied, self._files[0], protocol=pickle.HIGHEST_PROTOCOL)
        self._files[0].flush()

    def receive_ties(self) -> list[Tied]:
        """Return what it says of its files."""
        tied: list[Tied] = self._receive()
        return tied

    def receive_answers(self) -> list[Answer]:
        """Return its answers."""
        answers: list[tuple[str, Known] | Unreadable] = self._receive()
        return [
            one if isinstance(one, Unreadable) else (Decision.model_validate_json(one[0]), one[1]) for one in answers
        ]

    def _receive(self) -> list:  # type: ignore[type-arg]
        # Pickled by a fork of this very process: whoever could write it could do anything here already.
        try:
            received: list = pickle.load(self._files[1])  # type: ignore[type-arg]  # noqa: S301
        except (EOFError, pickle.UnpicklingError) as error:
            raise _ProcessFailedError from error
        return received

    def _serve(self, there: tuple[int, int], here: tuple[int, int]) -> None:
        """Do the share and end. Nothing that the process has taken over is flushed, closed or said a second time.

        Its rule process ends with the pipe that this closes.
        """
        code = 1
        try:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.close(there[1])
            os.close(here[0])
            self._work.begin_anew()
            with os.fdopen(there[0], "rb") as orders, os.fdopen(here[1], "wb") as answers:
                read = self._work.read(self._number)
                pickle.dump(self._work.tie(read), answers, protocol=pickle.HIGHEST_PROTOCOL)
                answers.flush()
                tied = pickle.load(orders)  # noqa: S301  # as `_receive`
                judged = self._work.judge_share(self._number, read, tied)
                done = [one if isinstance(one, Unreadable) else (one[0].model_dump_json(), one[1]) for one in judged]
                pickle.dump(done, answers, protocol=pickle.HIGHEST_PROTOCOL)
            code = 0
        finally:
            os._exit(code)


def _tied(pipeline: ReadPipeline) -> ReadPipeline:
    """Return what others have to know of a pipeline to be linked with it: little, since it passes between processes."""
    links = pipeline.links
    return replace(
        pipeline,
        facts=_no_facts().model_copy(update={"stages": pipeline.facts.stages}),
        document=None,
        source_map=_NOWHERE,
        content=b"",
        native=None,
        included={},
        links=replace(
            links,
            landings=tuple(replace(one, spot=_written(pipeline, one.spot)) for one in links.landings),
            arguments=tuple(replace(one, spot=_written(pipeline, one.spot)) for one in links.arguments),
            files=tuple(replace(one, spot=_written(pipeline, one.spot)) for one in links.files),
        ),
    )


def _written(pipeline: ReadPipeline, spot: Spot) -> Spot:
    """Return a spot whose place is known without the source map: for others only file and line of it count."""
    source = spot.source or pipeline.source_map
    place = source.place_inside(spot.path, spot.start, spot.end) if spot.start >= 0 else source.place_of(spot.path)
    return Spot((), source=_Written(place))


class _Written(SourceMap):
    """A map that knows one place."""

    def __init__(self, place: Place) -> None:
        super().__init__(place.file, "", SequenceNode(0, 0))
        self._known = place

    def place_of(self, path: JsonPath, *, key: bool = False) -> Place:
        """Return the one place."""
        return self._known


_NOWHERE = SourceMap("", "", SequenceNode(0, 0))


@functools.cache
def _no_facts() -> Facts:
    return Facts(
        **{name: [] for name in Facts.model_fields}  # each field is a list
    )
