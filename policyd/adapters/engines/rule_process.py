"""The rule process seen from policyd: one run of embedded_worker.py, and the frames to and from it.

It is started without any of this machine's Python settings, is asked within a deadline, and is ended by its id. What
it says is bounded and may be anything: an answer of no known shape is an error, never a value. While it works it notes
in shared memory which entry point it is at, so a rule that takes all the time is named.
"""

from __future__ import annotations

import fcntl
import functools
import importlib.util
import json
import mmap
import os
import select
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from policyd.errors import EngineError, PolicyError
from policyd.policy.engine import Answer

TIMEOUT_SECONDS = 10.0  # for a question or a load; the library answers in 30 ms
MEMORY_BYTES = 512 * 1024 * 1024  # of address space; the library needs 60 MiB
MAX_FRAME_BYTES = 64 * 1024 * 1024  # an AST is 80 times its module

_PLACE_BYTES = 4
_PIPE_BYTES = 1 << 20  # what Linux lets everybody have

_WORKER = Path(__file__).with_name("embedded_worker.py")


class RuleProcess:
    """One run of embedded_worker.py and the frames to and from it."""

    def __init__(self, memory_bytes: int, timeout_seconds: float, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._max_frame_bytes = max_frame_bytes
        spec = importlib.util.find_spec("regorus")
        if spec is None or spec.origin is None:
            raise EngineError(
                "the embedded Rego engine is not installed",
                where="Python package gordon-to-regorus",
                fix="install policyd with its dependencies, or use `--engine opa`",
            )
        site = str(Path(spec.origin).parent.parent)
        cpu_seconds = int(timeout_seconds) + 1
        # Isolated and without site: no variable, user directory or .pth file has a say in what the process runs.
        # Its end follows from the closed pipe or the processor limit; PR_SET_PDEATHSIG would end it with the thread
        # that started it, and stages run in threads.
        with _open_memory() as place:
            place.truncate(_PLACE_BYTES)
            self._place = mmap.mmap(place.fileno(), _PLACE_BYTES)
            try:
                self._start(place.fileno(), [site, str(memory_bytes), str(cpu_seconds), str(max_frame_bytes)])
            except OSError as error:
                self._place.close()
                raise EngineError(
                    f"the embedded Rego engine can't be started: {error.strerror}",
                    where=sys.executable,
                    fix="see that Python may be run by you, and that processes can be made",
                ) from error

    def _start(self, place: int, arguments: list[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", str(_WORKER), *arguments, str(place)],
            pass_fds=[place],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"LC_ALL": "C.UTF-8"},
            cwd="/",
            close_fds=True,
            bufsize=0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in = self._process.stdin.fileno()
        self._out = self._process.stdout.fileno()
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)
        # An input is larger than a pipe: each time it is full, both sides would wait for the other once more.
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with suppress(OSError):
                fcntl.fcntl(self._in, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._buffer = bytearray()
        self.owes_answer = False

    @property
    def pid(self) -> int:
        """Its id."""
        return self._process.pid

    def load(
        self,
        key: str,
        modules: Mapping[str, str],
        data: Mapping[str, object],
        deadline: float,
        *,
        coverage: bool = False,
    ) -> list[Mapping[str, object]]:
        """Have `modules` parsed and return their syntax trees."""
        self.begin_load(key, modules, data, deadline, coverage=coverage)
        return self.finish_load(modules, deadline)

    def begin_load(
        self,
        key: str,
        modules: Mapping[str, str],
        data: Mapping[str, object],
        deadline: float,
        *,
        coverage: bool = False,
        trees: Sequence[str] | None = None,
    ) -> None:
        """Give the process `modules` to parse; `trees` are those whose syntax trees `finish_load` returns: else all."""
        request = {
            "load": key,
            "modules": list(modules.items()),
            "data": data,
            "coverage": coverage,
            "trees": list(modules if trees is None else trees),
        }
        self._send(_frame(request), deadline, "while reading the policy")

    def finish_load(self, modules: Mapping[str, str], deadline: float) -> list[Mapping[str, object]]:
        """Return the syntax trees of `modules`, which the process was given."""
        doing = "while reading the policy"
        # The process says what it reads before it does, so a module that is never read to its end is named.
        while "reading" in (answer := self._receive(deadline, doing)):
            doing = f"while reading the policy {answer['reading']}"
        self.owes_answer = False
        if "error" in answer:
            raise PolicyError(
                f"the policy does not compile: {short_error(str(answer['error']))}",
                where=_place(str(answer["error"])),
                fix="correct the Rego at that place",
            )
        try:
            trees = json.loads(str(answer["ast"]))
        except RecursionError as error:
            # `1 + 1 + …` nests without a bracket: nothing the scan of the bytes could count.
            raise PolicyError(
                "an expression of the policy is too long to be looked at",
                where=", ".join(modules),
                fix="split the expression into several",
            ) from error
        if not isinstance(trees, list) or not all(isinstance(tree, dict) for tree in trees):
            raise EngineError("the engine's syntax tree has no known shape", where="regorus", fix="report this")
        return trees

    def ask(
        self,
        key: str,
        entrypoints: Sequence[str],
        document: bytes,
        deadline: float,
        *,
        split: Container[str] = frozenset(),
        meanwhile: Callable[[], object] | None = None,
    ) -> dict[str, Answer]:
        """Return the answers to `entrypoints` for `document`. What `split` names stands in more than one rule.

        `meanwhile` is called while the process works on them: with a second processor it costs no time.
        """
        struct.pack_into(">I", self._place, 0, len(entrypoints))
        plain = [entrypoint not in split for entrypoint in entrypoints]
        request = _frame({"ask": key, "entrypoints": list(entrypoints), "plain": plain})
        self._send(request + struct.pack(">I", len(document)) + document, deadline, f"before {entrypoints[0]}")
        if meanwhile is not None:
            meanwhile()
        at = _At(self._place, entrypoints)
        answer = self._receive(deadline, at)
        values = answer.get("values")
        if values is not None:
            self.owes_answer = False
            return dict(zip(entrypoints, _read_answers(values, len(entrypoints)), strict=True))
        # One failed, so each answers for itself; the first has.
        answers = {entrypoints[0]: _read_answer(answer)}
        for entrypoint in entrypoints[1:]:
            answers[entrypoint] = _read_answer(self._receive(deadline, at))
        self.owes_answer = False
        return answers

    def evaluate(self, key: str, query: str, document: bytes | None, deadline: float) -> Answer:
        """Return the answer to `query`, one expression, with the modules of `key`; without input for None."""
        doing = "in the query"
        request = _frame({"ask": key, "query": query, "with_input": document is not None})
        content = document or b""
        self._send(request + struct.pack(">I", len(content)) + content, deadline, doing)
        answer = self._receive(deadline, doing)
        self.owes_answer = False
        return _read_answer(answer)

    def coverage(self, key: str, deadline: float) -> list[Mapping[str, object]]:
        """Return the entries of the coverage report on the modules of `key`."""
        doing = "while counting lines"
        self._send(_frame({"coverage": key}), deadline, doing)
        answer = self._receive(deadline, doing)
        self.owes_answer = False
        report = json.loads(str(answer.get("report", "{}")))
        files = report.get("files") if isinstance(report, dict) else None
        return [entry for entry in files or [] if isinstance(entry, dict)]

    def leave(self) -> None:
        """Close this side of the pipes of a process that somebody else started and will end."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.returncode = 0  # not ours to wait for
        self._place.close()

    def stop(self) -> None:
        """End the process by its id and wait for it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._place.close()

    def _send(self, content: bytes, deadline: float, doing: object) -> None:
        self.owes_answer = True
        view = memoryview(content)
        while view:
            try:
                view = view[os.write(self._in, view) :]
            except BlockingIOError:
                self._wait(self._in, select.POLLOUT, deadline, doing)
            except OSError as error:
                raise self._died(doing) from error

    def _receive(self, deadline: float, doing: object) -> dict[str, object]:
        head = self._take(4, deadline, doing)
        (length,) = struct.unpack(">I", head)
        if length > self._max_frame_bytes:
            raise EngineError(
                f"the engine's answer is too large {doing}", where="regorus", fix="make the rule say less"
            )
        try:
            answer = json.loads(self._take(length, deadline, doing))
        except (ValueError, RecursionError) as error:
            raise EngineError(
                f"the engine's answer can't be read {doing}", where="regorus", fix="report this"
            ) from error
        if not isinstance(answer, dict):
            raise EngineError(f"the engine's answer has no known shape {doing}", where="regorus", fix="report this")
        return answer

    def _take(self, count: int, deadline: float, doing: object) -> bytes:
        while len(self._buffer) < count:
            try:
                content = os.read(self._out, 1 << 16)
            except BlockingIOError:
                self._wait(self._out, select.POLLIN, deadline, doing)
                continue
            if not content:
                raise self._died(doing)
            self._buffer += content
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def _wait(self, descriptor: int, event: int, deadline: float, doing: object) -> None:
        left = deadline - time.monotonic()
        waiting = select.poll()
        waiting.register(descriptor, event)
        if left <= 0 or not waiting.poll(1000 * left):
            raise EngineError(
                f"the engine took too long {doing}",
                where="regorus",
                fix="make the rule's work smaller; what it judges is not allowed until it answers",
            )

    def _died(self, doing: object) -> EngineError:
        try:
            code = self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            code = None
        return EngineError(
            f"the engine's process died {doing} (exit status {code})",
            where="regorus",
            fix="it was out of memory or time: make the rule's work smaller",
        )


def _open_memory() -> BinaryIO:
    """Return a file that no other process can name."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("policyd-place"), "wb+", buffering=0)
    return tempfile.TemporaryFile(buffering=0)


@dataclass(frozen=True, slots=True)
class _At:
    """Says, when it is asked, at which of the entry points the process is."""

    place: mmap.mmap
    entrypoints: Sequence[str]

    def __str__(self) -> str:
        (number,) = struct.unpack_from(">I", self.place, 0)
        return f"in {self.entrypoints[number]}" if number < len(self.entrypoints) else f"before {self.entrypoints[0]}"


@functools.cache
def regorus_version() -> str:
    """Return the version of the package that holds regorus."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("gordon-to-regorus")
    except PackageNotFoundError:
        return "unknown"


def _frame(value: object) -> bytes:
    content = json.dumps(value).encode()
    return struct.pack(">I", len(content)) + content


def _read_answer(answer: Mapping[str, object]) -> Answer:
    if "error" in answer:
        return Answer(error=str(answer["error"]))
    match answer.get("result"):
        case {"result": [{"expressions": [{"value": value}]}]}:
            return Answer(value=value)
        case {} as result if not result or result == {"result": []}:
            return Answer()
        case _:
            return Answer(error="the engine's answer has no known shape")


def _read_answers(values: object, count: int) -> list[Answer]:
    """Return the answers to questions that all have one: a list of one value each."""
    if isinstance(values, list) and len(values) == count:
        return [_read_one(value) for value in values]
    return [Answer(error="the engine's answer has no known shape")] * count


def _read_one(values: object) -> Answer:
    match values:
        case [value]:
            return Answer(value=value)
    return Answer(error="the engine's answer has no known shape")


def _place(error: str) -> str:
    """Return `file:line:column` out of what regorus says of a syntax error."""
    words = error.split()
    return words[1] if len(words) > 1 and words[0] == "-->" else "the policy set"


def short_error(error: str) -> str:
    """Return what regorus says is wrong, without the line of source it draws."""
    _, found, words = error.partition("error: ")
    return words if found and error.startswith("-->") else error
