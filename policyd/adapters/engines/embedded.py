"""The embedded engine: regorus in a process of its own, checked, limited and replaceable.

Parsing, compiling and evaluating Rego can take all memory and all time, so none of it happens in policyd's own process.
Modules are sent, parsed there, checked here against what policies may use (policyd.policy.subset), and only then asked.
A process that dies or takes too long is ended, the rule it was at is named, and the next question starts a new one.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from policyd.adapters.closing import Closing
from policyd.adapters.engines.checked_modules import Checked, find_checked
from policyd.adapters.engines.rule_process import (
    MAX_FRAME_BYTES,
    MEMORY_BYTES,
    TIMEOUT_SECONDS,
    RuleProcess,
    regorus_version,
)
from policyd.adapters.library import library_builtins
from policyd.errors import EngineError, PolicyError
from policyd.models.decision import EngineRef
from policyd.policy.engine import Answer
from policyd.policy.entrypoints import require_entrypoints
from policyd.policy.input_subset import WIDE_CHARACTERS, Kind, describe_number, find_number, holds_wide_characters
from policyd.policy.policy_set import PolicySet
from policyd.policy.subset import ValueUse, find_split_rules, require_subset, unite_uses


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
