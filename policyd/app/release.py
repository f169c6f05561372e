"""The release gate: may this artifact leave for this target? Asked at the end of a run and by `policyd verify`.

Both walk the same chain over evidence read back from the store, and both ask the rules anew: a decision remembered
is not a decision made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from policyd.adapters import clock
from policyd.app.check import EXIT_OF_VERDICT
from policyd.app.evidence import MAX_BUNDLE_BYTES, StoredEvidence
from policyd.app.judging import Judge, Keep
from policyd.app.record import log_keys, require_clock
from policyd.app.recorded_decisions import store_decision
from policyd.app.stages import RunState
from policyd.app.waivers import used_by
from policyd.attestation.release_chain import Check, ManifestLog, ReleaseEvidence, verify_release
from policyd.attestation.summary import summarise
from policyd.attestation.waived import describe_waived
from policyd.errors import ExitCode, PolicydError
from policyd.models.base import Sha256, rfc3339
from policyd.models.decision import Decision, Effect
from policyd.models.input import ReleaseInput
from policyd.models.manifest import Manifest, Product
from policyd.models.pipeline import StageKind
from policyd.models.records import Event, EventKind
from policyd.models.settings import Target
from policyd.models.trust import TrustPolicy
from policyd.run.stage_input import summarise_plan


@dataclass(frozen=True, slots=True)
class Released:
    """What the release gate said of one artifact and one target, with every check it made.

    `error` says what kept it from reaching a decision; then nothing is allowed.
    """

    name: str
    sha256: Sha256
    target: str
    checks: tuple[Check, ...]
    decision: Decision | None = None
    evidence: ReleaseEvidence | None = None
    error: PolicydError | None = None
    summary_sha256: Sha256 | None = None

    @property
    def reason(self) -> str:
        """Why the artifact may not leave, in words; empty where it may."""
        if self.error is not None:
            return self.error.cause
        return "" if self.exit_code is ExitCode.OK else self.checks[-1].detail

    @property
    def exit_code(self) -> ExitCode:
        """0 for an allowed release alone."""
        if self.decision is not None:
            return EXIT_OF_VERDICT[self.decision.verdict]
        return self.error.exit_code if self.error is not None else ExitCode.NOT_EVALUATED


def decide_release(
    *,
    name: str,
    artifact_sha256: Sha256,
    target: str,
    manifest_bundle: bytes,
    evidence: Mapping[Sha256, bytes],
    trust: TrustPolicy,
    log: ManifestLog | None,
    judge: Judge,
    now: datetime,
    keep: Keep | None = None,
) -> Released:
    """Walk the release chain for the artifact and ask the release rules; never raises for what the evidence lacks.

    `keep` is given the input of the rules where the decision will be recorded.
    """
    checks: list[Check] = []
    try:
        release = verify_release(
            artifact_sha256=artifact_sha256,
            target=target,
            manifest_bundle=manifest_bundle,
            evidence=evidence,
            trust=trust,
            log=log,
            now=now,
            checks=checks,
            waivers=judge.waivers.terms,
        )
    except PolicydError as error:
        return Released(name, artifact_sha256, target, tuple(checks), error=error)
    judge = judge.for_plan(release.plan)
    decision = judge.judge_release(
        _make_input(release, judge, now), now=now, weakened=_weakened(release), keep=keep, waivers=release.waivers
    )
    detail = f"{len(decision.rules)} rules of policy set {decision.policy_set.name}{describe_waived(decision)}"
    if not decision.allowed:
        reasons = [problem.message for problem in decision.problems]
        reasons += [f"{found.rule}: {found.message}" for found in decision.violations if found.effect is Effect.DENY]
        detail = f"{decision.verdict}: {'; '.join(reasons) or 'no rule was asked'}"
    checks.append(Check(len(checks) + 1, "the release rules allow it", passed=decision.allowed, detail=detail))
    return Released(name, artifact_sha256, target, tuple(checks), decision=decision, evidence=release)


def release_products(
    state: RunState,
    manifest: Manifest,
    manifest_sha256: Sha256,
    targets: Mapping[str, Target],
    log: ManifestLog,
) -> tuple[Released, ...]:
    """Decide on every product that the plan sends to a target, and sign each answer as a decision and a summary.

    A run that did not succeed releases nothing, and there is nothing to decide.
    """
    if not manifest.succeeded:
        return ()
    evidence = StoredEvidence(state.store)
    bundle = state.store.content.get(manifest_sha256, max_bytes=MAX_BUNDLE_BYTES)
    released: list[Released] = []
    for product, target in _find_candidates(state):
        now = require_clock(state.store, log_keys(state.trust), clock.now)
        documents: list[bytes] = []
        answer = decide_release(
            name=product.path.rpartition("/")[2],
            artifact_sha256=product.sha256,
            target=target,
            manifest_bundle=bundle,
            evidence=evidence,
            trust=state.trust,
            log=log,
            judge=state.judge,
            now=now,
            keep=documents.append,
        )
        released.append(_record(state, answer, documents, targets[target].uri))
    return tuple(released)


def _find_candidates(state: RunState) -> list[tuple[Product, str]]:
    """Return each product and the target it may go to: outputs of stages with a target, inputs of deploy stages."""
    found: dict[tuple[Sha256, str], Product] = {}
    for stage in state.plan.stages:
        if stage.target is None:
            continue
        products = list(state.records[stage.name].products)
        if stage.kind is StageKind.DEPLOY:
            products += [product for group in state.products_of(stage.products).values() for product in group]
        for product in products:
            found.setdefault((product.sha256, stage.target), product)
    return [(product, target) for (_, target), product in found.items()]


def _record(state: RunState, answer: Released, documents: list[bytes], target_uri: str) -> Released:
    if answer.decision is None or answer.evidence is None:
        return answer
    now = rfc3339(clock.now())
    kept = store_decision(state.store.content, answer.decision, state.signing, *documents)
    state.append(
        Event(
            kind=EventKind.DECISION,
            at=now,
            run_id=state.run_id,
            plan_sha256=state.bound.plan_sha256,
            verdict=answer.decision.verdict.value,
            evidence=(*kept, *used_by(answer.decision)),
            detail=f"release {answer.name} to {answer.target}",
        )
    )
    summary = state.signing.sign_summary(
        summarise(answer.evidence),
        decision_sha256=kept[0],
        target_uri=target_uri,
        checkpoint=state.store.record.checkpoint(),
        time_verified=now,
    )
    summary_sha256 = state.store.content.put(summary)
    state.append(
        Event(
            kind=EventKind.SUMMARY,
            at=now,
            run_id=state.run_id,
            plan_sha256=state.bound.plan_sha256,
            verdict=answer.decision.verdict.value,
            evidence=(summary_sha256,),
            detail=f"{answer.name} for {answer.target}",
        )
    )
    return Released(
        answer.name,
        answer.sha256,
        answer.target,
        answer.checks,
        decision=answer.decision,
        evidence=answer.evidence,
        summary_sha256=summary_sha256,
    )


def _make_input(release: ReleaseEvidence, judge: Judge, now: datetime) -> ReleaseInput:
    return ReleaseInput(
        evaluated_at=rfc3339(now),
        governance=judge.governance,
        artifact=release.artifact,
        target=release.target,
        plan=summarise_plan(release.plan),
        run_id=release.manifest.run_id,
        requester=release.plan.requester,
        evidence=list(release.stages),
        decisions=list(release.decisions),
    )


def _weakened(release: ReleaseEvidence) -> tuple[str, ...]:
    """Return every check that an earlier gate made in a weakened form: it stays a fact of the release."""
    return tuple(sorted({weakness for decision in release.decisions for weakness in decision.weakened}))
