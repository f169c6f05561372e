"""Reading decisions back: a signed `allow` counts only for the plan, run and stage that it names."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from policyd.attestation.attested import Describer
from policyd.attestation.policy_sets import find_unlisted
from policyd.attestation.trust import verify_bundle
from policyd.errors import DocumentError, SubjectMismatch, VerificationFailed
from policyd.models.base import RunId, Sha256
from policyd.models.canonical import sha256_hex
from policyd.models.decision import Decision, Effect, Gate, Verdict
from policyd.models.input import AttestationFact, DecisionSummary
from policyd.models.plan import Plan
from policyd.models.statement import DECISION_V1
from policyd.models.trust import Role, TrustPolicy


@dataclass(frozen=True, slots=True)
class VerifiedDecision:
    """A decision of `allow` that binds this plan. Built by `verify_decision` alone."""

    decision: Decision
    bundle_sha256: Sha256
    attestation: AttestationFact | None = None  # where it was to be described

    def summary(self) -> DecisionSummary:
        """Return what rules see of it."""
        return DecisionSummary(
            gate=self.decision.gate,
            verdict=self.decision.verdict,
            stage=self.decision.stage or "",
            sha256=self.bundle_sha256,
            weakened=list(self.decision.weakened),
        )


@dataclass(frozen=True, slots=True)
class Admission:
    """The one start of a stage that an admit decision has to name."""

    stage: str
    attempt: int


def verify_decision(
    bundle: bytes,
    trust: TrustPolicy,
    *,
    plan: Plan,
    plan_sha256: Sha256,
    run_id: RunId,
    admission: Admission | None,
    now: datetime,
    describer: Describer | None = None,
) -> VerifiedDecision:
    """Return the decision in `bundle` if it allows this plan: its check (`admission` None) or one start of a stage.

    Raises `VerificationFailed` or the subclass that says which of the numbered checks failed.
    """
    bundle_sha256 = sha256_hex(bundle)
    what = "check decision" if admission is None else f"admit decision of stage {admission.stage}"
    where = f"{what}, sha256:{bundle_sha256}"

    # 1. Signed by the decider, as a decision.
    try:
        verified = verify_bundle(bundle, trust, role=Role.DECIDER, now=now, where=where)
    except DocumentError as error:
        raise VerificationFailed(error.cause, where=error.where, fix=error.fix) from error
    if verified.statement.predicate_type != DECISION_V1:
        raise _refused(f"the statement is {verified.statement.predicate_type}, not a decision", where)
    decision = verified.read_predicate(Decision, where=where)

    # 2. Of the gate that was passed here.
    expected = Gate.PIPELINE if admission is None else Gate.STAGE
    if decision.gate is not expected:
        raise _mismatch(f"the decision is of the gate {decision.gate}, not {expected}", where)

    # 3. It allows, and says nothing that contradicts it: rules were asked, none is broken or unanswered.
    if not decision.allowed:
        raise _refused(f"the verdict is {decision.verdict}", where)
    if not decision.rules or decision.problems or any(found.effect is Effect.DENY for found in decision.violations):
        raise _refused("the decision says allow and contradicts itself: no rules, open problems or denials", where)
    if any(found.effect is Effect.WAIVED and not found.waiver for found in decision.violations):
        raise _refused("the decision says waived and names no waiver", where)

    # 4. This plan.
    if decision.plan_sha256 != plan_sha256 or verified.subject_sha256s() != {plan_sha256}:
        raise _mismatch(f"the decision is about the plan {decision.plan_sha256}, not {plan_sha256}", where)
    if decision.governance != plan.governance:
        raise _mismatch(f"the decision was made under governance {decision.governance}, not {plan.governance}", where)

    # 5. By the policy set and layers of the plan, weighed on the plan's terms; those above the project's count.
    if decision.policy_set != plan.policy_set:
        raise _mismatch(f"the policy set is {decision.policy_set.sha256}, not the plan's", where)
    layers = tuple(layer.ref for layer in decision.layers)
    if layers != plan.layers or not layers or layers[0].sha256 != plan.policy_set.sha256:
        raise _mismatch("the layers of policy that judged are not the plan's", where)
    doubt = (Verdict.UNDECIDED, Verdict.NOT_EVALUATED)
    if decision.layers[0].verdict in doubt or any(one.verdict is Verdict.UNDECIDED for one in decision.layers):
        raise _refused("the decision says allow, and a layer of policy that has to allow did not", where)
    if layers[0].layer != "organisation" or any(layer.layer == "organisation" for layer in layers[1:]):
        raise _mismatch("the layers of policy do not begin with the one organisation's", where)
    if decision.terms is None or sha256_hex(decision.terms.to_json()) != plan.terms_sha256:
        raise _mismatch("rules were chosen and weighed on other terms than the plan's", where)
    unlisted = find_unlisted(layers, trust)
    if unlisted is not None:
        raise _refused(
            f"the trust policy does not list the policy set {unlisted.name} (sha256:{unlisted.sha256})", where
        )

    # 6. This run. A check decision may come before there is a run; an admit decision names one start of one stage.
    if admission is None:
        if decision.run_id not in (None, run_id) or decision.stage is not None:
            raise _mismatch("the check decision is about another run or about a stage", where)
    elif (decision.run_id, decision.stage, decision.attempt) != (run_id, admission.stage, admission.attempt):
        raise _mismatch(
            f"the decision admits stage {decision.stage}, attempt {decision.attempt}, of run {decision.run_id}", where
        )
    return VerifiedDecision(
        decision=decision,
        bundle_sha256=bundle_sha256,
        attestation=None if describer is None else describer.describe(bundle_sha256, bundle, verified),
    )


def _refused(cause: str, where: str) -> VerificationFailed:
    return VerificationFailed(cause, where=where, fix="run the pipeline again under a policy set that counts")


def _mismatch(cause: str, where: str) -> SubjectMismatch:
    return SubjectMismatch(cause, where=where, fix="find out why evidence of something else is listed in this run")
