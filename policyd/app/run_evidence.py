"""What the store's evidence shows of a run, for an audit: counted only after it was verified."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from policyd.adapters.stores.store import Store
from policyd.app.evidence import MAX_BUNDLE_BYTES, StoredEvidence
from policyd.attestation.bound_run import BoundRun
from policyd.attestation.evidence import Evidence
from policyd.attestation.stage import verify_stage
from policyd.attestation.trust import VerifiedStatement, verify_bundle
from policyd.compliance.models import RunEvidence
from policyd.errors import PolicydError
from policyd.models.base import Sha256
from policyd.models.manifest import Manifest, StageState
from policyd.models.plan import Plan
from policyd.models.records import EventKind
from policyd.models.statement import DECISION_V1, MANIFEST_V1, VSA_V1
from policyd.models.strict_json import read_model
from policyd.models.trust import Role, TrustPolicy
from policyd.record.runs import RunView

State = Literal["succeeded", "failed", "interrupted", "running"]
_STATES: dict[str, State] = {"succeeded": "succeeded", "failed": "failed", "running": "running"}


def read_run_evidence(
    view: RunView, store: Store, trust: TrustPolicy, *, now: datetime, record_verified: bool
) -> RunEvidence:
    """Return what the evidence of one run shows. What can't be verified is not counted; nothing is raised for it."""
    run = view.run
    # Unknown states (a run whose process is gone) count as interrupted: the weakest thing that is true of them.
    bare = RunEvidence(
        run_id=run.run_id,
        pipeline=run.pipeline,
        state=_STATES.get(run.state, "interrupted"),
        started_at=run.started_at,
        governance="self",
        builder_id="",
        plan_sha256=run.plan_sha256,
        manifest_sha256=run.manifest_sha256,
        record_verified=record_verified,
    )
    evidence = StoredEvidence(store)
    signed = _find_statement(evidence, run.manifest_sha256, trust, Role.BUILDER, MANIFEST_V1, now)
    if signed is None:
        return bare
    try:
        manifest = signed.read_predicate(Manifest, where=f"manifest of run {run.run_id}")
        plan = read_model(
            Plan,
            Evidence(evidence).require(manifest.plan_sha256, "the plan"),
            where="plan",
            max_bytes=MAX_BUNDLE_BYTES,
            max_depth=64,
        )
    except PolicydError:
        return bare
    if manifest.run_id != run.run_id or not manifest.decisions:
        return bare
    ran = [record for record in manifest.stages if record.started_at is not None]
    summaries = [
        sha256 for logged in view.events if logged.event.kind is EventKind.SUMMARY for sha256 in logged.event.evidence
    ]
    return bare.model_copy(
        update={
            "governance": manifest.governance,
            "builder_id": manifest.builder_id,
            "manifest_verified": True,
            "decisions_listed": len(manifest.decisions),
            "decisions_verified": sum(
                _find_statement(evidence, sha256, trust, Role.DECIDER, DECISION_V1, now) is not None
                for sha256 in manifest.decisions
            ),
            "products": sum(len(record.products) for record in manifest.stages),
            "products_with_provenance": _count_provenance(manifest, plan, evidence, trust, now),
            "summaries_verified": sum(
                _find_statement(evidence, sha256, trust, Role.VERIFIER, VSA_V1, now) is not None for sha256 in summaries
            ),
            "stages_run": len(ran),
            "sandbox_modes": tuple(sorted({record.sandbox for record in ran})),
            "builder_max_level": max(
                (
                    builder.max_level
                    for builder in trust.builders
                    if builder.id == manifest.builder_id and builder.key_sha256 in signed.key_sha256s
                ),
                default=0,
            ),
        }
    )


def _find_statement(
    evidence: StoredEvidence, sha256: Sha256 | None, trust: TrustPolicy, role: Role, predicate_type: str, now: datetime
) -> VerifiedStatement | None:
    if sha256 is None:
        return None
    try:
        content = Evidence(evidence).require(sha256, "evidence")
        found = verify_bundle(content, trust, role=role, now=now, where=f"evidence sha256:{sha256}")
    except PolicydError:
        return None
    return found if found.statement.predicate_type == predicate_type else None


def _count_provenance(
    manifest: Manifest, plan: Plan, evidence: StoredEvidence, trust: TrustPolicy, now: datetime
) -> int:
    bound = BoundRun(plan, manifest.plan_sha256, manifest.run_id, manifest.decisions[0])
    products = {
        f"{record.name}.{output}": [product for product in record.products if product.output == output]
        for record in manifest.stages
        for output in {product.output for product in record.products}
    }
    verified = 0
    for record in manifest.stages:
        if record.state is not StageState.SUCCEEDED or not record.products:
            continue
        try:
            inputs = {reference: products.get(reference, []) for reference in plan.stage(record.name).products}
            verify_stage(record, run=bound, inputs=inputs, evidence=Evidence(evidence), trust=trust, now=now)
        except (PolicydError, KeyError):
            continue
        verified += len(record.products)
    return verified
