"""The embedded engine: regorus in a process of its own, checked, limited and replaceable.

Parsing, compiling and evaluating Rego can take all memory and all time, so none of it happens in policyd's own process.
Modules are sent, parsed there, checked here against what policies may use (policyd.policy.subset), and only then asked.
A process that dies or takes too long is ended, the rule it was at is named, and the next question starts a new one.
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
import threading
import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from policyd.adapters.closing import Closing
from policyd.adapters.engines.checked_modules import Checked, find_checked
from policyd.adapters.library import library_builtins
from policyd.errors import EngineError, PolicyError
from policyd.models.decision import EngineRef
from policyd.policy.engine import Answer
from policyd.policy.entrypoints import require_entrypoints
from policyd.policy.input_subset import WIDE_CHARACTERS, Kind, describe_number, find_number, holds_wide_characters
from policyd.policy.policy_set import PolicySet
from policyd.policy.subset import ValueUse, find_split_rules, require_subset, unite_uses

TIMEOUT_SECONDS = 10.0  # for a question or a load; the library answers in 30 ms
MEMORY_BYTES = 512 * 1024 * 1024  # of address space; the library needs 60 MiB
MAX_FRAME_BYTES = 64 * 1024 * 1024  # an AST is 80 times its module

_PLACE_BYTES = 4
_PIPE_BYTES = 1 << 20  # what Linux lets everybody have

_WORKER = Path(__file__).with_name("embedded_worker.py")


class EmbeddedEngine(Closing):
    """A `PolicyEngine` on regorus, holding one policy set. A context manager; usable from several threads."""

    def __init__(
        self,
        policy_set: PolicySet,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        memory_bytes: int = MEMORY_BYTES,
        max_frame_bytes: int = MAX_FRAME_BYTES,
        coverage: bool = False,
    ) -> None:
        """With `coverage`, the lines that questions reach are counted: for tests, since it makes answers slower.

        `max_frame_bytes` bounds what the process may answer at once: it is read in a process without limits.
        """
        self._policy_set = policy_set
        self._coverage = coverage
        self._timeout_seconds = timeout_seconds
        self._memory_bytes = memory_bytes
        self._max_frame_bytes = max_frame_bytes
        self._lock = threading.Lock()
        self._process: RuleProcess | None = None
        self._begun: _Begun | None = None
        self._loaded: dict[tuple[str, ...], str] = {}  # entry points asked before → key of their modules
        self._uses: dict[str, ValueUse] = {}  # module → what it does with numbers
        self._united: dict[str, ValueUse] = {}  # key → what its modules do together
        self._keys: dict[str, str] = {}  # entry point → key of the modules that it alone needs
        self._split: dict[str, frozenset[str]] = {}  # key → entry points that more than one rule makes up

    @property
    def ref(self) -> EngineRef:
        """Name and version of the engine."""
        return EngineRef(name="regorus", version=regorus_version())

    def query(
        self, entrypoints: Sequence[str], document: bytes, *, meanwhile: Callable[[], object] | None = None
    ) -> Mapping[str, Answer]:
        """Answer every entry point for the input `document` (JSON bytes); see `PolicyEngine`.

        Raises `PolicyError` where a module that would have a say may not be used, and `EngineError` where the process
        died or took too long.
        """
        if tuple(entrypoints) not in self._loaded:
            require_entrypoints(entrypoints, self._policy_set)
        if not entrypoints:
            return {}
        with self._lock:
            deadline = time.monotonic() + self._timeout_seconds
            try:
                process = self._require_process()
                key = self._load(process, entrypoints, deadline)
                unsure: dict[str, Answer] = {}

                def look() -> None:
                    unsure.update(self._find_unsure(key, entrypoints, document))
                    if meanwhile is not None:
                        meanwhile()

                answers = process.ask(key, entrypoints, document, deadline, split=self._split[key], meanwhile=look)
                # What OPA might answer otherwise is no answer.
                return {**answers, **unsure}
            except EngineError:
                self._stop()
                raise

    def begin(self, entrypoints: Sequence[str]) -> None:
        """Start the process and have it parse the modules of `entrypoints` while the caller does something else.

        Whatever is wrong is said by the first question.
        """
        require_entrypoints(entrypoints, self._policy_set)
        with self._lock:
            if self._process is not None:
                return
            try:
                deadline = time.monotonic() + self._timeout_seconds
                self._begun = self._begin(self._require_process(), tuple(entrypoints), deadline)
            except (EngineError, PolicyError):
                self._stop()

    def forget(self) -> None:
        """Let go of a process that another one started, before a fork: asking starts one of its own."""
        if self._process is not None:
            self._process.leave()
            self._process = None
        self._stop()

    def compile(self, entrypoints: Sequence[str]) -> None:
        """Parse and check the modules that have a say in `entrypoints`, without asking; raises as `query` does."""
        require_entrypoints(entrypoints, self._policy_set)
        with self._lock:
            try:
                self._load(self._require_process(), entrypoints, time.monotonic() + self._timeout_seconds)
            except EngineError:
                self._stop()
                raise

    def coverage(self) -> tuple[Mapping[str, object], ...]:
        """Return what regorus says of the lines reached so far, one entry for each file and each load of it."""
        with self._lock:
            if self._process is None or not self._coverage:
                return ()
            deadline = time.monotonic() + self._timeout_seconds
            return tuple(
                entry for key in dict.fromkeys(self._loaded.values()) for entry in self._process.coverage(key, deadline)
            )

    def close(self) -> None:
        """End the rule process. Asking again starts another."""
        with self._lock:
            self._stop()

    @property
    def process_id(self) -> int | None:
        """The rule process, where one is running."""
        return self._process.pid if self._process else None

    def _require_process(self) -> RuleProcess:
        if self._process is not None and self._process.owes_answer and self._begun is None:
            # What was asked before was broken off: its answer would be taken for the next question's.
            self._stop()
        if self._process is None:
            self._process = RuleProcess(self._memory_bytes, self._timeout_seconds, self._max_frame_bytes)
            self._loaded.clear()
        return self._process

    def _load(self, process: RuleProcess, entrypoints: Sequence[str], deadline: float) -> str:
        """Have the process parse the modules that `entrypoints` need; return the key to ask them by."""
        asked = tuple(entrypoints)
        if asked in self._loaded:
            return self._loaded[asked]
        modules = self._policy_set.modules_for(asked)
        key = "\n".join(modules)
        begun, self._begun = self._begun, None
        if begun is not None and begun.key != key:
            # What was begun answers first. Whoever asks for it is told what is wrong with it.
            with suppress(PolicyError):
                self._finish(process, begun, deadline)
            begun = None
        if key not in self._loaded.values():
            self._finish(process, begun or self._begin(process, asked, deadline), deadline)
        self._loaded[asked] = key
        return key

    def _begin(self, process: RuleProcess, asked: tuple[str, ...], deadline: float) -> _Begun:
        """Give the process the modules that `asked` need."""
        modules, data = self._policy_set.modules_for(asked), self._policy_set.data
        require_plain_data(data)
        known = find_checked(modules, self._policy_set.packages, engine=regorus_version())
        begun = _Begun(asked, modules, known)
        process.begin_load(begun.key, modules, data, deadline, coverage=self._coverage, trees=begun.unknown)
        return begun

    def _finish(self, process: RuleProcess, begun: _Begun, deadline: float) -> None:
        """Take what the process says of the modules it was given, and raise where they may not be used."""
        trees = process.finish_load(begun.modules, deadline)
        require_held(trees, begun.unknown)
        self._uses |= require_subset(trees, self._policy_set.packages, library_builtins())
        self._uses |= {path: checked.use for path, checked in begun.known.items()}
        split = [checked.split for checked in begun.known.values()]
        self._split[begun.key] = find_split_rules(trees).union(*split)
        self._loaded[begun.asked] = begun.key

    def _find_unsure(self, key: str, entrypoints: Sequence[str], document: bytes) -> dict[str, Answer]:
        """Return an error for each rule that would do with numbers or text what the engines do differently."""
        together = self._use_of(key)
        rounds = together.fractions and together.calculates
        # Rules that read only lists of facts bear any number: then nothing has to be looked for.
        found = find_number(document) if together.bearable < Kind.LARGE else None
        counts = together.counts_characters and holds_wide_characters(document)
        if not rounds and not counts and (found is None or found.kind <= together.bearable):
            return {}
        unsure = {}
        for entrypoint in entrypoints:
            if entrypoint not in self._keys:
                self._keys[entrypoint] = "\n".join(self._policy_set.modules_for([entrypoint]))
            use = self._use_of(self._keys[entrypoint])
            if use.fractions and use.calculates:
                unsure[entrypoint] = Answer(error="the rule calculates and holds fractions: use `--engine opa`")
            elif counts and use.counts_characters:
                unsure[entrypoint] = Answer(error=WIDE_CHARACTERS)
            elif found is not None and found.kind > use.bearable:
                unsure[entrypoint] = Answer(error=describe_number(found, "the input"))
        return unsure

    def _use_of(self, key: str) -> ValueUse:
        """Return what the modules of `key` do together."""
        if key not in self._united:
            self._united[key] = unite_uses(self._uses[path] for path in key.split("\n"))
        return self._united[key]

    def _stop(self) -> None:
        if self._process is not None:
            self._process.stop()
            self._process = None
        self._begun = None
        self._loaded.clear()


@dataclass(frozen=True, slots=True)
class _Begun:
    """What the process was given to parse and has not answered yet, and what is known of the modules."""

    asked: tuple[str, ...]
    modules: Mapping[str, str]
    known: Mapping[str, Checked]

    @property
    def unknown(self) -> list[str]:
        """The modules that have to be looked at."""
        return [path for path in self.modules if path not in self.known]

    @property
    def key(self) -> str:
        """The key to ask the modules by."""
        return "\n".join(self.modules)


def require_held(asts: Sequence[Mapping[str, object]], modules: Iterable[str]) -> None:
    """Raise `EngineError` unless `asts` are the syntax trees of exactly `modules`."""
    held = {str(source.get("file")) for ast in asts if isinstance(source := ast.get("source"), dict)}
    if held != set(modules):
        raise EngineError(
            "the engine holds other modules than it was given", where="regorus", fix="report this (SECURITY.md)"
        )


def require_plain_data(data: Mapping[str, object]) -> None:
    """Raise `PolicyError` for a number below `data` that OPA could hold and regorus not, or calculate otherwise."""
    if found := find_number(json.dumps(data).encode()):
        raise PolicyError(
            describe_number(found, "the data"),
            where="the data of the policy set",
            fix="write a whole number below 2**53, or text, or use `--engine opa`",
        )


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
