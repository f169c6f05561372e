"""`policyd policy replay`: recorded decisions, judged again from what the record keeps of them.

With the policy set that was recorded, a decision has to come out with the very bytes that were signed; with another
one, what changes is what somebody wants to know before that set is in force. Nothing here is signed or recorded.

Each worker has one rule process for a policy set, which answers for all decisions one after the other; only what is in
the workers' hands is in memory, however long the record is.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Self

from policyd.adapters.settings import Authority, require_authority
from policyd.adapters.stores.content import ContentStore
from policyd.adapters.stores.store import Store, open_store
from policyd.app.check import MAX_PIPELINE_BYTES
from policyd.app.judging import ask_layers, open_engine
from policyd.app.judging_again import exit_code_of, find_dialect, find_old_misfit, load_named_set, unjudged, with_time
from policyd.app.record import require_verified_log
from policyd.app.recorded_decisions import RecordedDecision, find_decisions, read_decision, read_stored_policy_set
from policyd.attestation.statements import decision_statement
from policyd.attestation.waivers import MAX_WAIVER_BYTES
from policyd.errors import ExitCode, PolicydError, UsageError
from policyd.models.base import JsonPath, rfc3339
from policyd.models.decision import Decision, Place, Problem, Violation
from policyd.models.input import INPUT_OF_GATE
from policyd.models.records import Event
from policyd.pipeline.reading import read_pipeline
from policyd.pipeline.source_map import SourceMap
from policyd.policy.changes import Change, Judgements, Unjudged, compare_decisions, find_differences
from policyd.policy.deciding import Subject
from policyd.policy.engine import PolicyEngine
from policyd.policy.judged_input import MISFIT, JudgedInput, find_misfit
from policyd.policy.layers import Layers
from policyd.policy.policy_set import PolicySet
from policyd.policy.recalled import recall_layers, recall_site, recall_waivers
from policyd.policy.waivers import waive

MAX_WORKERS = 4  # rule processes; each takes some 60 MB
MAX_INPUT_BYTES = 64 * 1024 * 1024
MAX_HELD = 2  # policy sets a worker has engines for: decisions of two projects may take turns
KEPT_LAYERS = 8  # policy sets with their settings, in memory; the record holds decisions of each in a row
_ENGINES = {"regorus": "embedded"}  # how the engine that a decision names is asked for, where it is called otherwise


@dataclass(frozen=True, slots=True)
class Replayed:
    """How a replay went. `same` says that every decision had to come out with the same bytes."""

    judgements: Judgements
    same: bool

    @property
    def exit_code(self) -> ExitCode:
        """0 where nothing changes, 1 where something does, 3 where one can't be judged, 4 where nothing is recorded."""
        return exit_code_of(self.judgements)


def replay(
    *,
    policy_set: str | None,
    since: datetime | None,
    run: str | None,
    effective_time: datetime | None,
    engine: str | None,
    settings: Path | None,
    now: datetime,
) -> Replayed:
    """Judge the recorded decisions again, with the set that `policy_set` names or the one recorded with each.

    The record is verified first, then each decision's signature, then the digest of everything it was made from. A
    decision that can't be judged again is listed with the reason. Raises `RecordError` for a record that was changed.
    """
    authority = require_authority(settings, repository=None)
    other = load_named_set(policy_set, authority, now=now) if policy_set is not None else None
    judgements = Judgements()
    root = Path(authority.settings.store)
    again = _Again(authority, other, effective_time, engine)
    if not (root / "record").exists():
        if run is not None:
            raise UsageError(f"no run starts with {run!r}", where="the store is empty", fix="run a pipeline first")
        return Replayed(judgements, again.same)
    with open_store(root, Path(authority.settings.state)) as store:
        require_verified_log(store, Path(authority.settings.state), authority.trust)
        events = find_decisions(store, since=since, run=run)
        for answer in _judge_all(again, store, events):
            judgements.add(answer)
    return Replayed(judgements, again.same)


@dataclass(frozen=True, slots=True)
class _Again:
    """What is judged again, and how it differs from the first time."""

    authority: Authority
    policy_set: PolicySet | None
    effective_time: datetime | None
    engine: str | None

    @property
    def same(self) -> bool:
        """True where every decision should come out with the same bytes."""
        return self.policy_set is None and self.effective_time is None and self.engine is None


#: What became of one decision; None where nothing changed.
Answer = Change | Unjudged | None


def _judge_all(again: _Again, store: Store, events: Iterable[Event]) -> Iterator[Answer]:
    """Yield the answers in the order of `events`, judged side by side on as many processors as there are."""
    workers = min(MAX_WORKERS, len(os.sched_getaffinity(0)))
    recall = _Recall(store.content, again.policy_set)
    with ExitStack() as stack:
        benches: SimpleQueue[_Bench] = SimpleQueue()
        for _ in range(workers):
            benches.put(stack.enter_context(_Bench(again.authority)))

        def judge(event: Event) -> Answer:
            bench = benches.get()
            try:
                return _judge(again, store.content, recall, bench, event)
            finally:
                benches.put(bench)

        # Closed before the benches are: no thread may wait for an answer from an engine that is gone.
        pool = stack.enter_context(ThreadPoolExecutor(workers, thread_name_prefix="replay"))
        yield from _map_in_order(pool, judge, events, ahead=4 * workers)


def _map_in_order(
    pool: ThreadPoolExecutor, work: Callable[[Event], Answer], events: Iterable[Event], *, ahead: int
) -> Iterator[Answer]:
    """Yield `work` of each event in order, at most `ahead` of them under way."""
    doing: deque[Future[Answer]] = deque()
    try:
        for event in events:
            doing.append(pool.submit(work, event))
            if len(doing) >= ahead:
                yield doing.popleft().result()
        while doing:
            yield doing.popleft().result()
    finally:
        for one in doing:
            one.cancel()


def _judge(again: _Again, content: ContentStore, recall: _Recall, bench: _Bench, event: Event) -> Answer:
    name = event.evidence[0] if event.evidence else f"entry of {event.at}"
    subject = event.stage or event.detail or "pipeline"
    try:
        # 1. The decision as it was signed.
        recorded = read_decision(content, event, again.authority.trust)
        subject = recorded.decision.subject
        # 2. Made again from what it names, each by its digest.
        decision = _decide_again(again, content, recall, bench, recorded.decision)
    except PolicydError as error:
        return unjudged(name, subject, error)
    # 3. The same bytes, or what changed.
    if again.same:
        change = _find_difference(recorded, decision)
    else:
        change = compare_decisions(recorded.sha256, recorded.decision, decision)
    if change is None:
        return None
    return replace(change, run_id=recorded.decision.run_id, decided_at=recorded.decision.decided_at)


def _decide_again(again: _Again, content: ContentStore, recall: _Recall, bench: _Bench, recorded: Decision) -> Decision:
    moment = again.effective_time
    document = content.get(recorded.input_sha256, max_bytes=MAX_INPUT_BYTES)
    if moment is not None:
        document = with_time(document, moment)
    judged = JudgedInput(document, lambda: _find_misfit(again, recorded, document))
    weakened = recorded.weakened
    if moment is not None:
        weakened = (*weakened, f"judged as of {rfc3339(moment)}, not of {recorded.decided_at}")
    now = moment or datetime.fromisoformat(recorded.decided_at)
    layers = recall.layers(recorded)
    engine = again.engine or _ENGINES.get(recorded.engine.name, recorded.engine.name)
    decision = ask_layers(
        layers,
        bench.engines(engine, layers),
        judged,
        subject=Subject(
            gate=recorded.gate,
            name=recorded.subject,
            input_sha256=judged.sha256,
            plan_sha256=recorded.plan_sha256,
            run_id=recorded.run_id,
            stage=recorded.stage,
            attempt=recorded.attempt,
            target=recorded.target,
            artifact_sha256=recorded.artifact_sha256,
        ),
        dialect=find_dialect(recorded.gate, document),
        now=now,
        locate=_Places(content, recorded),
        governance=recorded.governance,
        weakened=weakened,
    )
    if recorded.waivers:
        decision = _waive_again(decision, recorded, layers, content, document, moment)
    # What was read is named as it was: the bytes that places were found in are those.
    return decision.model_copy(
        update={
            "violations": _with_related_places(decision, recorded),
            "source_sha256": recorded.source_sha256,
            "included": recorded.included,
            "file": recorded.file,
        }
    )


def _find_misfit(again: _Again, recorded: Decision, document: bytes) -> Problem | None:
    """Return why the input of `recorded` can't be given to rules."""
    if again.policy_set is not None:
        return find_old_misfit(recorded.gate, document, where=recorded.subject)
    # The rules that were asked then knew this input, whatever the models say today. Where it did not fit then, no
    # answer counted, and none does now.
    if any(problem.message.startswith(MISFIT) for problem in recorded.problems):
        return find_misfit(INPUT_OF_GATE[recorded.gate], document, where=recorded.subject)
    return None


def _with_related_places(decision: Decision, recorded: Decision) -> tuple[Violation, ...]:
    """Return the violations, with related places as recorded where they were recorded of the same violation.

    A related part may be one that only all files of the repository together show, and those are not kept.
    """
    known = {_with_related(found): found.related for found in recorded.violations if found.related}
    return tuple(
        found.model_copy(update={"related": known[_with_related(found)]}) if _with_related(found) in known else found
        for found in decision.violations
    )


def _with_related(violation: Violation) -> tuple[object, ...]:
    return violation.rule, violation.at, violation.message, tuple(one.message for one in violation.related)


def _waive_again(
    decision: Decision,
    recorded: Decision,
    layers: Layers,
    content: ContentStore,
    document: bytes,
    moment: datetime | None,
) -> Decision:
    files = {
        note.evidence_sha256: content.get(note.evidence_sha256, max_bytes=MAX_WAIVER_BYTES)
        for note in recorded.waivers
        if note.evidence_sha256 is not None and note.sha256 is not None
    }
    site = recall_site(recorded, document)
    return waive(
        decision,
        recall_waivers(recorded, files, site, now=moment),
        site=site,
        rules=layers.catalogue.keys(),
        document=lambda: json.loads(document),
        now=moment or datetime.fromisoformat(recorded.decided_at),
    )


def _find_difference(recorded: RecordedDecision, decision: Decision) -> Change | None:
    """Return what differs where the same bytes were expected."""
    if decision_statement(decision) == recorded.statement:
        return None
    old = recorded.decision
    change = compare_decisions(recorded.sha256, old, decision) or Change(
        recorded.sha256, old.gate, old.subject, old.verdict, decision.verdict
    )
    return replace(change, fields=find_differences(old, decision) or ("the spelling",))


class _Recall:
    """The layers that decisions name, read from the store, and kept while decisions name them."""

    def __init__(self, content: ContentStore, instead: PolicySet | None) -> None:
        self._content = content
        self._instead = instead
        self._lock = Lock()
        self._layers: dict[tuple[str, ...], Layers] = {}

    def layers(self, decision: Decision) -> Layers:
        """Return the layers of `decision`; decisions on the same terms share them, and so their engines."""
        key = (
            *(layer.ref.model_dump_json() for layer in decision.layers),
            decision.terms.model_dump_json() if decision.terms else "",
        )
        with self._lock:
            found = self._layers.pop(key, None)
            if found is None:
                found = recall_layers(decision, self._policy_sets(decision), instead=self._instead)
            self._layers[key] = found  # at the end: it was asked for last
            while len(self._layers) > KEPT_LAYERS:
                del self._layers[next(iter(self._layers))]
        return found

    def _policy_sets(self, decision: Decision) -> list[PolicySet]:
        return [
            read_stored_policy_set(self._content, layer.sha256, name=layer.name, prefix=layer.prefix)
            for layer in decision.layers
        ]


class _Bench:
    """What one worker has: an engine for each layer of what it was asked about last."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self._held: dict[tuple[str, int], tuple[Layers, ExitStack, tuple[PolicyEngine, ...]]] = {}

    def engines(self, name: str, layers: Layers) -> tuple[PolicyEngine, ...]:
        """Return engines called `name` that hold `layers`, in their order."""
        key = (name, id(layers))  # held beside their engines, so that no other object gets this id
        held = self._held.pop(key, None)
        if held is None:
            while len(self._held) >= MAX_HELD:
                self._let_go(next(iter(self._held)))
            with ExitStack() as opening:
                engines = tuple(
                    opening.enter_context(open_engine(name, layer, self._authority)) for layer in layers.layers
                )
                held = layers, opening.pop_all(), engines
        self._held[key] = held
        return held[2]

    def _let_go(self, key: tuple[str, int]) -> None:
        self._held.pop(key)[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for key in list(self._held):
            self._let_go(key)


class _Places:
    """Where parts of a recorded input stand.

    Of a part that was violated then, the decision says it. The pipeline file is only read for others: parsing it takes
    longer than judging it.
    """

    def __init__(self, content: ContentStore, decision: Decision) -> None:
        self._content = content
        self._decision = decision
        self._known = {violation.at: violation.place for violation in decision.violations}
        self._map: SourceMap | None = None

    def __call__(self, at: JsonPath) -> Place | None:
        if at in self._known:
            return self._known[at]
        if self._decision.source_sha256 is None:
            return None
        if self._map is None:
            source = self._content.get(self._decision.source_sha256, max_bytes=MAX_PIPELINE_BYTES)
            self._map = read_pipeline(self._decision.subject, source, self._find_included).source_map
        return self._map.place(at)

    def _find_included(self, path: str) -> bytes | None:
        sha256 = (self._decision.included or {}).get(path)
        return None if sha256 is None else self._content.get(sha256, max_bytes=MAX_PIPELINE_BYTES)
