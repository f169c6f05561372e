"""The life of one stage: admit, fetch, execute, collect, attest, record. In this order, each once.

Nothing reported has not been recorded first, and nothing here decides: the judge does, and what it did not allow does
not start. What a stage may see is made afresh from the store; what it leaves is taken only when it is gone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from policyd.adapters import clock
from policyd.adapters.sandboxes.collect import collect_products
from policyd.adapters.sandboxes.workspace import Workspace, open_workspace
from policyd.adapters.signers.process import SigningProcess
from policyd.adapters.sources.tools import FetchedTool
from policyd.adapters.sources.tree import materialise
from policyd.adapters.stores.store import Store
from policyd.app.evidence import MAX_BUNDLE_BYTES, StoredEvidence
from policyd.app.judging import Judge
from policyd.app.record import log_keys, require_clock
from policyd.app.recorded_decisions import store_decision
from policyd.app.waivers import used_by
from policyd.attestation.bound_run import BoundRun
from policyd.attestation.evidence import Evidence
from policyd.attestation.stage import Sbom, verify_stage
from policyd.attestation.statements import Named
from policyd.errors import CollectError, InputTooLarge, PolicydError
from policyd.models.base import RunId, Sha256, rfc3339
from policyd.models.decision import Decision, Verdict
from policyd.models.input import ResultDocument, StageEvidence
from policyd.models.manifest import Product, StageRecord, StageState
from policyd.models.pipeline import StageKind
from policyd.models.plan import Plan, PlannedStage
from policyd.models.records import Event, EventKind
from policyd.models.trust import TrustPolicy
from policyd.run.ports import Folders, Job, JobResult, Killed, Sandbox, TargetMount, ToolMount
from policyd.run.results import MAX_RESULT_BYTES, ReadResult, find_sbom_type, read_result
from policyd.run.source_tree import TreeManifest
from policyd.run.stage_input import StageInputs

#: Retries come with the runner's own issue; until then every stage has one attempt.
ATTEMPT = 1


class Listener(Protocol):
    """Who wants to hear how a run goes. Called from the threads that run stages, one call at a time."""

    def on_stage_started(self, stage: PlannedStage) -> None:
        """A stage was admitted and recorded, and starts."""

    def on_output(self, stage: str, chunk: bytes) -> None:
        """A stage wrote to its standard output or error."""

    def on_stage_ended(self, record: StageRecord, decision: Decision | None) -> None:
        """A stage ended and that is recorded; `decision` is what admitted or denied it."""


@dataclass(slots=True)
class RunState:
    """What the stages of one run share. Written under `lock` only."""

    bound: BoundRun
    store: Store
    signing: SigningProcess  # in a process of its own: neither this one nor a stage has a key
    trust: TrustPolicy
    judge: Judge
    sandbox: Sandbox
    inputs: StageInputs
    source: TreeManifest
    tools: Mapping[str, FetchedTool]  # by `stage/tool`
    targets: Mapping[str, Path]  # folders of the targets this plan names
    workspaces: Path
    weakened: tuple[str, ...]
    listener: Listener
    should_stop: Callable[[], bool]
    source_digests: frozenset[Sha256] = frozenset()
    lock: threading.Lock = field(default_factory=threading.Lock)
    records: dict[str, StageRecord] = field(default_factory=dict)
    evidence: dict[str, StageEvidence] = field(default_factory=dict)
    results: dict[str, list[ResultDocument]] = field(default_factory=dict)
    not_admitted: dict[str, Verdict] = field(default_factory=dict)
    waivers: set[Sha256] = field(default_factory=set)  # the files of those that lifted something

    @property
    def plan(self) -> Plan:
        """The plan of this run."""
        return self.bound.plan

    @property
    def run_id(self) -> RunId:
        """The id of this run."""
        return self.bound.run_id

    def products_of(self, references: Iterable[str]) -> dict[str, tuple[Product, ...]]:
        """Return the products that each `stage.output` names."""
        return {
            reference: tuple(
                product
                for product in self.records[reference.partition(".")[0]].products
                if product.output == reference.partition(".")[2]
            )
            for reference in references
        }

    def append(self, *events: Event) -> None:
        """Write to the record; on return it is durable."""
        with self.lock:
            self.store.record.append(events)


def live(run: RunState, stage: PlannedStage) -> StageRecord:
    """Take one stage through its life and return how it ended; it is in the record by then.

    Raises what keeps policyd from knowing or recording the outcome (`StoreError`, `SandboxError`), after trying to
    record that the stage failed.
    """
    decision, kept = _admit(run, stage)
    record = StageRecord(
        name=stage.name,
        kind=stage.kind,
        definition_sha256=stage.definition_sha256,
        attempt=ATTEMPT,
        state=StageState.RUNNING,
        started_at=rfc3339(clock.now()),
        sandbox=run.sandbox.mode,
        decision=kept[0],
        target=stage.target,
    )
    if not decision.allowed:
        reason = f"the stage gate said {decision.verdict}: {_because(decision)}"
        with run.lock:
            run.not_admitted[stage.name] = decision.verdict
        denied = record.model_copy(update={"state": StageState.DENIED, "reason": reason, "started_at": None})
        return _end(run, denied, decision, first=_decision_event(run, stage, decision, kept))
    # Before its effect: no entry, no run.
    run.append(_decision_event(run, stage, decision, kept), _event(run, record, EventKind.STAGE_STARTED))
    with run.lock:
        run.listener.on_stage_started(stage)
    try:
        ended, results = _execute(run, stage, record)
        attested = _attest(run, stage, ended, results)
    except PolicydError as error:
        _end(run, _failed(record, error.cause), decision)
        raise
    return _end(run, attested, decision)


def _admit(run: RunState, stage: PlannedStage) -> tuple[Decision, tuple[Sha256, ...]]:
    """Return the decision and the digests of what is stored of it: the signed bundle, then the input."""
    now = require_clock(run.store, log_keys(run.trust), clock.now)
    document = run.inputs.make(
        stage,
        run_id=run.run_id,
        attempt=ATTEMPT,
        evaluated_at=rfc3339(now),
        evidence=run.evidence,
        results=run.results,
    )
    documents: list[bytes] = []
    decision = run.judge.judge_stage(document, now=now, weakened=run.weakened, keep=documents.append)
    with run.lock:
        run.waivers.update(used_by(decision))
    return decision, store_decision(run.store.content, decision, run.signing, *documents)


def _because(decision: Decision) -> str:
    if decision.problems:
        return decision.problems[0].message
    denials = [violation for violation in decision.violations if violation.effect == "deny"]
    return f"{denials[0].rule}: {denials[0].message}" if denials else "no rule was asked"


def _execute(run: RunState, stage: PlannedStage, record: StageRecord) -> tuple[StageRecord, list[ReadResult]]:
    """Run the stage on what the plan names and collect what it leaves."""
    content = run.store.content
    with open_workspace(run.workspaces, run.sandbox.stage_uid) as workspace:
        if stage.source:
            materialise(
                run.source,
                content,
                Path(workspace.folders.work),
                globs=stage.source if isinstance(stage.source, tuple) else None,
                uid=run.sandbox.stage_uid,
            )
        _hand_over_products(run, stage, workspace)
        with run.store.logs.open(run.run_id, stage.name) as log:

            def on_output(chunk: bytes) -> None:
                log.write(chunk)
                with run.lock:
                    run.listener.on_output(stage.name, chunk)

            result = run.sandbox.run(
                _make_job(run, stage, workspace.folders), on_output=on_output, should_stop=run.should_stop
            )
            log_sha256 = log.sha256()
        ended = record.model_copy(
            update={
                "exit_code": result.exit_code,
                "finished_at": rfc3339(clock.now()),
                "log_sha256": log_sha256,
            }
        )
        if not result.succeeded:
            return ended.model_copy(update=_failure(result, stage)), []
        try:
            collected = collect_products(
                Path(workspace.folders.out), stage.outputs, stage.results, content.put_fd, uid=run.sandbox.stage_uid
            )
            results = _read_results(run, stage, collected, result)
        except (CollectError, InputTooLarge) as error:
            # What it did is known and attested like any failure; what it left is not taken.
            return ended.model_copy(update={"state": StageState.FAILED, "reason": f"{error.cause} ({error.where})"}), []
    declared_outputs = {output.name for output in stage.outputs}
    products = tuple(product for product in collected if product.output in declared_outputs)
    summaries = tuple(read.summary for read in results)
    update = {"state": StageState.SUCCEEDED, "products": products, "results": summaries}
    return ended.model_copy(update=update), results


def _hand_over_products(run: RunState, stage: PlannedStage, workspace: Workspace) -> None:
    for reference, products in run.products_of(stage.products).items():
        name, _, output = reference.partition(".")
        for product in products:
            # The digest is computed again while the product is copied out of the store (T3, T4).
            workspace.add_input(name, output, product.path, product.sha256, run.store.content.copy_to)


def _make_job(run: RunState, stage: PlannedStage, folders: Folders) -> Job:
    tools = (run.tools[f"{stage.name}/{tool.name}"] for tool in stage.tools)
    target = None
    if stage.target is not None and stage.kind in (StageKind.DEPLOY, StageKind.MONITOR):
        target = TargetMount(folder=str(run.targets[stage.target]), writable=stage.kind is StageKind.DEPLOY)
    return Job(
        stage=stage.name,
        argvs=stage.argvs,
        folders=folders,
        timeout_seconds=stage.timeout_seconds,
        env=stage.env,
        tools=tuple(ToolMount(name=tool.name, folder=str(tool.folder), python_path=tool.python_path) for tool in tools),
        target=target,
    )


def _failure(result: JobResult, stage: PlannedStage) -> dict[str, object]:
    match result.killed:
        case Killed.TIMEOUT:
            return {"state": StageState.FAILED, "reason": f"took longer than {stage.timeout_seconds} s"}
        case Killed.OUTPUT:
            return {"state": StageState.FAILED, "reason": "printed more than a log may hold"}
        case Killed.STOPPED:
            return {"state": StageState.INTERRUPTED, "reason": "policyd was stopped"}
        case None:
            return {"state": StageState.FAILED, "reason": f"ended with exit code {result.exit_code}"}


def _read_results(
    run: RunState, stage: PlannedStage, collected: Sequence[Product], result: JobResult
) -> list[ReadResult]:
    by_name = {product.output: product for product in collected}
    assert result.exit_code is not None
    return [
        read_result(
            declared,
            by_name[declared.name],
            run.store.content.get(by_name[declared.name].sha256, max_bytes=MAX_RESULT_BYTES),
            exit_code=result.exit_code,
            source_digests=run.source_digests,
        )
        for declared in stage.results
    ]


def _attest(run: RunState, stage: PlannedStage, record: StageRecord, results: Sequence[ReadResult]) -> StageRecord:
    """Sign what the runner saw of the stage; return the record with its attestations.

    The signer builds each statement itself from the stage record; a stage hands over no statement. What later gates
    see of this stage is read back from the store and verified like anybody else's evidence.
    """
    assert record.decision is not None
    inputs = run.products_of(stage.products)
    now = clock.now()
    bundles = run.signing.attest_stage(
        record,
        admit_bundle=run.store.content.get(record.decision, max_bytes=MAX_BUNDLE_BYTES),
        inputs=inputs,
        now=now,
        sboms=[
            Sbom(predicate_type, read.document)
            for read in results
            if isinstance(read.document, dict) and (predicate_type := find_sbom_type(read.document)) is not None
        ],
        fetched=_fetched(run, stage),
    )
    with run.store.content.batch() as batch:
        digests = tuple(batch.put(bundle) for bundle in bundles)
    attested = record.model_copy(update={"attestations": digests})
    if attested.state is not StageState.SUCCEEDED:
        return attested
    verified = verify_stage(
        attested, run=run.bound, inputs=inputs, evidence=Evidence(StoredEvidence(run.store)), trust=run.trust, now=now
    )
    documents = [
        ResultDocument(
            stage=stage.name,
            name=read.summary.name,
            kind=read.summary.kind,
            path=read.summary.path,
            sha256=read.summary.sha256,
            document=read.document,
        )
        for read in results
    ]
    with run.lock:
        run.evidence[stage.name] = verified.evidence
        run.results[stage.name] = documents
    return attested


def _fetched(run: RunState, stage: PlannedStage) -> list[Named]:
    return [
        Named(f"tools/{tool.name}/{package.filename}", package.sha256)
        for tool in (run.tools[f"{stage.name}/{planned.name}"] for planned in stage.tools)
        for package in tool.packages
    ]


def _failed(record: StageRecord, reason: str) -> StageRecord:
    return record.model_copy(update={"state": StageState.FAILED, "reason": reason, "finished_at": rfc3339(clock.now())})


def _end(run: RunState, record: StageRecord, decision: Decision, *, first: Event | None = None) -> StageRecord:
    ended = _event(run, record, EventKind.STAGE_ENDED)
    run.append(*([first] if first else []), ended)
    with run.lock:
        run.records[record.name] = record
        run.listener.on_stage_ended(record, decision)
    return record


def _decision_event(run: RunState, stage: PlannedStage, decision: Decision, kept: tuple[Sha256, ...]) -> Event:
    return Event(
        kind=EventKind.DECISION,
        at=decision.decided_at,
        run_id=run.run_id,
        plan_sha256=run.bound.plan_sha256,
        stage=stage.name,
        attempt=ATTEMPT,
        verdict=decision.verdict.value,
        evidence=(*kept, *used_by(decision)),
    )


def _event(run: RunState, record: StageRecord, kind: EventKind) -> Event:
    return Event(
        kind=kind,
        at=rfc3339(clock.now()),
        run_id=run.run_id,
        plan_sha256=run.bound.plan_sha256,
        stage=record.name,
        attempt=record.attempt,
        state=record.state.value,
        evidence=tuple(
            sorted(
                {
                    *record.attestations,
                    *(product.sha256 for product in record.products),
                    *(result.sha256 for result in record.results),
                }
            )
        ),
        detail=record.reason,
    )
