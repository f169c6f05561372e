"""The release gate: may this artifact leave for this target? Asked at the end of a run and by `policyd verify`.

Both walk the same chain over evidence read back from the store, and both ask the rules anew: a decision remembered
is not a decision made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
from policyd.attestation.attested import ABOUT_ANOTHER, Describer
from policyd.attestation.direct import ArtifactFile
from policyd.attestation.release_chain import Check, ManifestLog, ReleaseEvidence, verify_release
from policyd.attestation.summary import summarise
from policyd.attestation.waived import describe_waived
from policyd.errors import ExitCode, PolicydError
from policyd.models.base import Sha256, rfc3339
from policyd.models.canonical import sha256_hex
from policyd.models.decision import Decision, Effect
from policyd.models.input import Artifact, AttestationFact, PlanSummary, ReleaseInput
from policyd.models.manifest import Manifest, Product
from policyd.models.pipeline import StageKind
from policyd.models.plan import Requester, SourceTree
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
    given: Iterable[bytes] = (),
    file: ArtifactFile | None = None,
) -> Released:
    """Walk the release chain for the artifact and ask the release rules; never raises for what the evidence lacks.

    `given` are attestations that were handed in: what the manifest lists of them is left out, and so is what holds
    and speaks of something else. What remains can only add reasons to deny. `file` is the artifact where it is at hand:
    they may name it by any of its digests.
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
    facts = _judge_given(release, given, trust, now, file)
    decision = judge.judge_release(
        _make_input(release, judge, now, facts),
        now=now,
        weakened=_weakened(release, facts),
        keep=keep,
        waivers=release.waivers,
    )
    checks.append(_check_of_rules(len(checks) + 1, decision))
    return Released(name, artifact_sha256, target, tuple(checks), decision=decision, evidence=release)


def decide_foreign(
    *,
    file: ArtifactFile,
    target: str,
    given: Sequence[bytes],
    trust: TrustPolicy,
    judge: Judge,
    now: datetime,
) -> tuple[tuple[Check, ...], Decision]:
    """Ask the release rules about an artifact that no run made, with the attestations that were handed in.

    There is no chain to walk: what has to be there, and signed by whom, the rules say. Every attestation is verified
    and told to them, also one that does not hold; each is a check of its own, and one that failed stays in the decision
    as a weakness.
    """
    artifact_sha256 = file.digests["sha256"].hex()
    describer = Describer(trust, artifact_sha256, now, file=file)
    facts = [describer.judge(content) for content in {sha256_hex(content): content for content in given}.values()]
    checks = [check_attestation(number, fact) for number, fact in enumerate(facts, 1)]
    document = ReleaseInput(
        evaluated_at=rfc3339(now),
        governance=judge.governance,
        artifact=Artifact(name=file.name, sha256=artifact_sha256, stage="", output="", type=""),
        target=target,
        # What rules see in place of a plan: nothing has a digest of zeros.
        plan=PlanSummary(
            sha256="0" * 64,
            pipeline="",
            source=SourceTree(sha256="0" * 64, files=0),
            sandbox="",
            builder_id="",
            governance=judge.governance,
        ),
        run_id="",
        requester=Requester(identity="", verified=False),
        evidence=[],
        decisions=[],
        attestations=facts,
    )
    decision = judge.judge_release(document, now=now, weakened=tuple(sorted(_failed(facts))))
    checks.append(_check_of_rules(len(checks) + 1, decision))
    return tuple(checks), decision


def check_attestation(number: int, fact: AttestationFact) -> Check:
    """Return the check that says whether an attestation that was handed in holds."""
    name = f"attestation sha256:{fact.sha256[:12]} holds"
    if not fact.verified:
        return Check(number, name, passed=False, detail=f"check {fact.check}: {fact.reason}")
    signers = ", ".join(sorted({f"{signer.person} ({signer.role})" for signer in fact.signers}))
    return Check(number, name, passed=True, detail=f"{fact.predicate_type}, signed by {signers}")


def _check_of_rules(number: int, decision: Decision) -> Check:
    detail = f"{len(decision.rules)} rules of policy set {decision.policy_set.name}{describe_waived(decision)}"
    if not decision.allowed:
        reasons = [problem.message for problem in decision.problems]
        reasons += [f"{found.rule}: {found.message}" for found in decision.violations if found.effect is Effect.DENY]
        detail = f"{decision.verdict}: {'; '.join(reasons) or 'no rule was asked'}"
    return Check(number, "the release rules allow it", passed=decision.allowed, detail=detail)


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


def _judge_given(
    release: ReleaseEvidence, given: Iterable[bytes], trust: TrustPolicy, now: datetime, file: ArtifactFile | None
) -> list[AttestationFact]:
    listed = set(release.input_sha256s)
    describer = Describer(trust, release.artifact.sha256, now, release.plan, release.plan_sha256, file)
    facts = (describer.judge(content) for content in given if sha256_hex(content) not in listed)
    return [fact for fact in facts if fact.check != ABOUT_ANOTHER]


def _make_input(
    release: ReleaseEvidence, judge: Judge, now: datetime, given: Sequence[AttestationFact]
) -> ReleaseInput:
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
        attestations=[*release.attestations, *given],
    )


def _weakened(release: ReleaseEvidence, given: Sequence[AttestationFact]) -> tuple[str, ...]:
    """Return every check that an earlier gate made in a weakened form, and what was handed in and does not hold."""
    earlier = {weakness for decision in release.decisions for weakness in decision.weakened}
    return tuple(sorted(earlier | _failed(given)))


def _failed(facts: Iterable[AttestationFact]) -> set[str]:
    return {f"attestation sha256:{fact.sha256}: {fact.reason}" for fact in facts if not fact.verified}
