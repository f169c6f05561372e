"""`policyd run`: the bound run, from a pipeline or an approved plan to the manifest and the release decisions."""

from __future__ import annotations

import functools
import gc
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from policyd.adapters import clock
from policyd.adapters.output import read_input
from policyd.adapters.sandboxes import open_sandbox
from policyd.adapters.settings import Authority, require_authority
from policyd.adapters.signers.process import SigningProcess, start_signing
from policyd.adapters.signers.spawn import Worker
from policyd.adapters.stores.store import Store, open_store
from policyd.app.check import EXIT_OF_VERDICT
from policyd.app.evidence import MAX_BUNDLE_BYTES
from policyd.app.judging import make_repository
from policyd.app.preparing import Prepared, prepare
from policyd.app.projects import find_root
from policyd.app.provisions import fetch_tools, find_targets
from policyd.app.record import log_keys, mark_interrupted_runs, require_clock
from policyd.app.recorded import RecordedManifests
from policyd.app.recorded_decisions import files_of, policy_sets_of, store_decision, store_policy_sets
from policyd.app.release import Released, release_products
from policyd.app.stages import ATTEMPT, Listener, RunState, live
from policyd.app.waivers import remember_revocations, used_by
from policyd.attestation.bound_run import BoundRun
from policyd.attestation.policy_sets import require_listed
from policyd.errors import (
    ExitCode,
    PlanChanged,
    PolicydError,
    StoreError,
    UsageError,
    worst,
)
from policyd.models.base import RunId, Sha256, rfc3339
from policyd.models.decision import Verdict
from policyd.models.manifest import Manifest, StageRecord, StageState
from policyd.models.plan import Plan, PlannedStage, SandboxMode
from policyd.models.records import Event, EventKind
from policyd.policy.catalogue import Catalogue
from policyd.report.findings import Judged
from policyd.run.order import StageOrder
from policyd.run.planning import find_differences
from policyd.run.ports import Sandbox
from policyd.run.stage_input import StageInputs

MAX_PLAN_BYTES = 64 * 1024 * 1024


class RunListener(Listener, Protocol):
    """Who wants to hear of the whole run."""

    def on_interrupted(self, run_id: RunId) -> None:
        """An earlier run had died; now it is recorded as interrupted."""

    def on_planned(self, prepared: Prepared) -> None:
        """The plan is made and judged, and the decision is in the record."""

    def on_tool(self, name: str) -> None:
        """A tool is about to be fetched, which may take a while."""

    def on_run_started(self, run_id: RunId, plan: Plan) -> None:
        """The run is in the record."""

    def on_stage_skipped(self, record: StageRecord) -> None:
        """A stage will not start, because something it needs did not succeed."""

    def on_manifest(self, manifest: Manifest) -> None:
        """The manifest is signed and in the record."""

    def on_released(self, released: Released) -> None:
        """The release gate has answered for one artifact."""


#: New objects after which Python looks for circles; some ten stages make as many. Its default is 700.
_COLLECT_AFTER = 50_000


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended. Without a manifest it did not start: `judged` says why."""

    judged: Judged
    catalogue: Catalogue
    manifest: Manifest | None
    manifest_sha256: Sha256 | None
    released: tuple[Released, ...]
    not_admitted: tuple[Verdict, ...] = ()  # what the stage gate said where it did not allow

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of README.md's table."""
        if self.manifest is None:
            return EXIT_OF_VERDICT[self.judged.decision.verdict]
        codes = [ExitCode.OK]
        ended = {record.state for record in self.manifest.stages}
        if ended & {StageState.FAILED, StageState.INTERRUPTED}:
            codes.append(ExitCode.STAGE_FAILED)
        elif not self.manifest.succeeded and not self.not_admitted:
            # Stopped between two stages: none failed, and still nothing was done that may count.
            codes.append(ExitCode.STAGE_FAILED)
        codes += [EXIT_OF_VERDICT[verdict] for verdict in self.not_admitted]
        codes += [released.exit_code for released in self.released]
        return worst(*codes)

    def to_json(self) -> dict[str, object]:
        """Return the outcome as `--format json` prints it."""
        return {
            "schema": "policyd.run/v1",
            "exit_code": int(self.exit_code),
            "decision": self.judged.decision.model_dump(mode="json", exclude_none=True),
            "manifest_sha256": self.manifest_sha256,
            "manifest": self.manifest.model_dump(mode="json", exclude_none=True) if self.manifest else None,
            "released": [
                {
                    "name": one.name,
                    "sha256": one.sha256,
                    "target": one.target,
                    "verdict": one.decision.verdict.value if one.decision else None,
                    "reason": one.reason,
                    "summary_sha256": one.summary_sha256,
                }
                for one in self.released
            ],
        }


def run_pipeline(
    path: Path | None,
    *,
    plan: str | None,
    settings: Path | None,
    sandbox: SandboxMode,
    engine: str | None,
    jobs: int,
    password: Callable[[], str],
    listener: RunListener,
    worker: Worker | None = None,
) -> RunOutcome:
    """Run the pipeline at `path`, or exactly the plan that `plan` names (a file or `sha256:…`).

    Raises `PlanChanged` where an approved plan is not what would run now, naming what changed; `IdentityNotTrusted`
    where the policy set is not one whose decisions count; `ClockBehind` where the record knows a later time.
    `worker` is a signing process that was started before; without it, one is started.
    """
    root = find_root(path or Path("."))
    authority = require_authority(settings, repository=root)
    isolation = open_sandbox(sandbox, authority.settings)
    with ExitStack() as stack:
        # Before anything of the pipeline is read.
        signing = stack.enter_context(start_signing(authority, functools.cache(password), worker))
        store = stack.enter_context(
            open_store(
                Path(authority.settings.store),
                Path(authority.settings.state),
                signing.log,
                earlier=log_keys(authority.trust),
            )
        )
        started = require_clock(store, log_keys(authority.trust), clock.now)
        for run in mark_interrupted_runs(store, at=rfc3339(started)):
            listener.on_interrupted(run.run_id)
        approved = _read_plan(plan, store) if plan else None
        wanted = path if approved is None else root / approved.pipeline_path
        if wanted is None:
            raise UsageError("there is nothing to run", where="policyd run", fix="name a pipeline or a --plan")
        with prepare(
            wanted,
            settings=settings,
            sandbox=sandbox,
            engine=engine,
            now=clock.now,
            content=store.content,
            authority=authority,
        ) as prepared:
            if approved is not None:
                _require_same_plan(approved, prepared.plan)
            return _run(prepared, store, signing, isolation, authority, jobs, listener)


def _run(
    prepared: Prepared,
    store: Store,
    signing: SigningProcess,
    sandbox: Sandbox,
    authority: Authority,
    jobs: int,
    listener: RunListener,
) -> RunOutcome:
    plan, decision, catalogue = prepared.plan, prepared.decision, prepared.judge.catalogue
    # The decider signs for the trust policy's policy sets alone: with another one, what this machine's policy says
    # must not even start to look like an approval.
    require_listed(plan.layers, authority.trust, where=authority.settings.trust_policy.path)
    waivers = prepared.judge.waivers
    remember_revocations(waivers, authority)
    store_policy_sets(store.content, prepared.judge.policy_sets)
    with store.content.batch() as batch:
        for content in (waivers.files or {}).values():
            batch.put(content)
    check_sha256, *judged = store_decision(
        store.content, decision, signing, plan.to_json(), prepared.document, *files_of(prepared.pipeline)
    )
    checked = Event(
        kind=EventKind.DECISION,
        at=decision.decided_at,
        plan_sha256=plan.sha256,
        verdict=decision.verdict.value,
        evidence=(check_sha256, *judged, *policy_sets_of(decision), *used_by(decision)),
    )
    # Before its effect is reported, whatever it is.
    store.record.append([checked])
    listener.on_planned(prepared)
    if not decision.allowed:
        return RunOutcome(prepared.judged, catalogue, None, None, ())

    run_id = clock.new_run_id()
    started_at = rfc3339(clock.now())
    with ExitStack() as stack:
        targets = find_targets(plan, authority, sandbox)
        tools = fetch_tools(plan, store, authority, sandbox, listener.on_tool)
        stack.enter_context(store.lock_run(run_id))
        stop = stack.enter_context(_stop_on_signals())
        signing.bind(plan, run_id, store.content.get(check_sha256, max_bytes=MAX_BUNDLE_BYTES), now=clock.now())
        store.record.append([_run_event(EventKind.RUN_STARTED, plan, run_id)])
        listener.on_run_started(run_id, plan)
        state = RunState(
            bound=BoundRun(plan, plan.sha256, run_id, check_sha256),
            store=store,
            signing=signing,
            trust=authority.trust,
            judge=prepared.judge,
            sandbox=sandbox,
            inputs=StageInputs(
                plan, prepared.pipeline.facts, prepared.pipeline.ref, make_repository([prepared.pipeline])
            ),
            source=prepared.source,
            tools=tools,
            targets=targets,
            workspaces=Path(authority.settings.workspaces),
            weakened=() if sandbox.mode == "bwrap" else ("stages run without a sandbox",),
            listener=listener,
            should_stop=stop.is_set,
            source_digests=prepared.source.content_digests(),
            waivers=set(used_by(decision)),
        )
        fault = _run_stages(state, jobs, listener)
        if fault is not None:
            # What can still be recorded of the run is; then what went wrong is said.
            with suppress(PolicydError):
                _finish(state, started_at)
            raise fault
        manifest, manifest_sha256 = _finish(state, started_at)
        listener.on_manifest(manifest)
        released = release_products(
            state,
            manifest,
            manifest_sha256,
            authority.settings.targets,
            RecordedManifests(store, authority.trust),
        )
        for one in released:
            listener.on_released(one)
        return RunOutcome(
            prepared.judged, catalogue, manifest, manifest_sha256, released, tuple(state.not_admitted.values())
        )


def _run_stages(state: RunState, jobs: int, listener: RunListener) -> PolicydError | None:
    """Run every stage that may run, up to `jobs` side by side.

    Returns what kept policyd itself from going on (a full store, a dead engine), after which no stage is started; the
    stages' records are in `state`.
    """
    plan = state.plan
    order = StageOrder({stage.name: stage.needs for stage in plan.stages})
    running: dict[Future[StageRecord], str] = {}
    fault: PolicydError | None = None
    # What is there now (modules, plan, facts) stays to the end: the collector need not walk it again at every stage,
    # and what a stage makes is freed without it, but for rare circles.
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
    with ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="stage") as pool:
        while not order.done:
            while fault is None and not state.should_stop() and len(running) < jobs:
                name = order.next_ready()
                if name is None:
                    break
                running[pool.submit(live, state, plan.stage(name))] = name
            if not running:
                break
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                name = running.pop(future)
                try:
                    ended = future.result().state
                except PolicydError as error:
                    fault = fault or error
                    ended = StageState.FAILED
                    state.records.setdefault(name, _unfinished(plan.stage(name), error.cause))
                for skipped in order.finish(name, ended):
                    _skip(state, plan, skipped, order.reasons[skipped], listener)
    because = "policyd was stopped" if fault is None else f"policyd could not go on: {fault.cause}"
    for name, stage_state in order.states.items():
        if stage_state is StageState.PENDING:
            _skip(state, plan, name, because, listener)
    return fault


def _unfinished(stage: PlannedStage, reason: str) -> StageRecord:
    """Return the record of a stage that has none of its own: lost with the store, or never started."""
    return StageRecord(
        name=stage.name,
        kind=stage.kind,
        definition_sha256=stage.definition_sha256,
        attempt=ATTEMPT,
        state=StageState.FAILED,
        reason=reason,
        target=stage.target,
    )


def _skip(state: RunState, plan: Plan, name: str, reason: str, listener: RunListener) -> None:
    stage = plan.stage(name)
    record = _unfinished(stage, reason).model_copy(update={"state": StageState.SKIPPED})
    state.records[name] = record
    with suppress(StoreError):  # the manifest says it as well, and where both fail, the fault is what is said
        state.append(
            Event(
                kind=EventKind.STAGE_ENDED,
                at=rfc3339(clock.now()),
                run_id=state.run_id,
                plan_sha256=plan.sha256,
                stage=name,
                attempt=ATTEMPT,
                state=record.state.value,
                detail=reason,
            )
        )
    listener.on_stage_skipped(record)


def _finish(state: RunState, started_at: str) -> tuple[Manifest, Sha256]:
    """Record the end, sign the manifest over it, record the manifest."""
    records = tuple(state.records[stage.name] for stage in state.plan.stages)
    succeeded = all(record.state is StageState.SUCCEEDED for record in records)
    ended = "succeeded" if succeeded else "interrupted" if state.should_stop() else "failed"
    state.append(_run_event(EventKind.RUN_ENDED, state.plan, state.run_id, state=ended))
    now = clock.now()
    manifest = Manifest(
        run_id=state.run_id,
        pipeline=state.plan.pipeline,
        plan_sha256=state.plan.sha256,
        governance=state.plan.governance,
        builder_id=state.plan.builder_id,
        started_at=started_at,
        finished_at=rfc3339(now),
        succeeded=succeeded,
        stages=records,
        decisions=(state.bound.check_sha256, *(record.decision for record in records if record.decision)),
        attestations=tuple(digest for record in records for digest in record.attestations),
        waivers=tuple(sorted(state.waivers | _find_release_waivers(state, records, now))),
        checkpoint=state.store.record.checkpoint(),
    )
    sha256 = state.store.content.put(state.signing.sign_manifest(manifest))
    state.append(_run_event(EventKind.MANIFEST, state.plan, state.run_id, evidence=(sha256,)))
    return manifest, sha256


def _find_release_waivers(state: RunState, records: Sequence[StageRecord], now: datetime) -> set[Sha256]:
    """Return the waivers that count and are for something this run made: the release gate may want them."""
    products = {product.sha256 for record in records for product in record.products}
    verified = state.judge.waivers.as_of(now).verified
    return {one.evidence_sha256 for one in verified if one.waiver.artifact_sha256 in products}


def _run_event(
    kind: EventKind,
    plan: Plan,
    run_id: RunId,
    *,
    state: str | None = None,
    evidence: tuple[Sha256, ...] = (),
) -> Event:
    return Event(
        kind=kind,
        at=rfc3339(clock.now()),
        run_id=run_id,
        pipeline=plan.pipeline,
        plan_sha256=plan.sha256,
        state=state,
        evidence=evidence,
    )


def _read_plan(name: str, store: Store) -> Plan:
    from pydantic import ValidationError

    from policyd.models.canonical import sha256_hex

    if name.startswith("sha256:"):
        digest = name.removeprefix("sha256:")
        if not store.content.has(digest):
            raise UsageError("the store has no such plan", where=name, fix="make it with `policyd plan PIPELINE`")
        content = store.content.get(digest, max_bytes=MAX_PLAN_BYTES)
    else:
        content = read_input(Path(name), max_bytes=MAX_PLAN_BYTES)
    try:
        plan = Plan.model_validate_json(content)
    except ValidationError as error:
        raise UsageError("this is not a plan", where=name, fix="name a file written by `policyd plan --out`") from error
    # The plan's name is the digest of its canonical bytes: another spelling of it is another plan.
    if sha256_hex(content) != plan.sha256:
        raise UsageError("the plan was rewritten", where=name, fix="make it anew with `policyd plan --out`")
    return plan


def _require_same_plan(approved: Plan, current: Plan) -> None:
    differences = find_differences(approved, current)
    if differences:
        raise PlanChanged(
            "what would run now is not the approved plan: " + "; ".join(differences),
            where=f"plan sha256:{approved.sha256}",
            fix="restore what changed, or make a new plan and have that one approved",
        )


@contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """Turn the signals that stop a program into a flag that stages are stopped by, so that the run ends recorded."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    # One that whoever started us has ignored (nohup, a shell's background job) stays ignored.
    heard = [
        number
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    ]
    previous = {number: signal.signal(number, lambda *_: stop.set()) for number in heard}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
