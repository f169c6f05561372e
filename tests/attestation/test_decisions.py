"""A decision counts for the layers of policy that the plan names, each once, and those above the project's listed."""

from __future__ import annotations

import pytest

from policyd.attestation.decisions import verify_decision
from policyd.attestation.policy_sets import find_unlisted, require_listed
from policyd.attestation.statements import decision_statement, sign_statement
from policyd.errors import IdentityNotTrusted, PolicydError, SubjectMismatch, VerificationFailed
from policyd.models.decision import Verdict
from policyd.models.plan import LayerRef
from tests.attestation.made_run import (
    NOW,
    ORGANISATION,
    PROJECT,
    RUN_ID,
    TEAM,
    judged,
    key,
    make_decision,
    make_plan,
    make_trust,
    sha256,
)


def verify(*layers: LayerRef, **changes: object) -> None:
    plan = make_plan(layers=layers)
    bundle = sign_statement(decision_statement(make_decision(plan, **changes)), key("decider"))
    trust = make_trust(policy_sets=(ORGANISATION.sha256, TEAM.sha256))
    verify_decision(bundle, trust, plan=plan, plan_sha256=plan.sha256, run_id=RUN_ID, admission=None, now=NOW)


def test_the_layers_of_the_plan_count() -> None:
    verify(ORGANISATION)
    verify(ORGANISATION, TEAM)
    verify(ORGANISATION, PROJECT)
    verify(ORGANISATION, TEAM, PROJECT)


@pytest.mark.parametrize(
    ("layers", "error"),
    [
        ((ORGANISATION, TEAM.model_copy(update={"sha256": sha256("unlisted")})), VerificationFailed),
        ((), SubjectMismatch),
        ((TEAM,), SubjectMismatch),
        ((PROJECT,), SubjectMismatch),
        ((TEAM, ORGANISATION), SubjectMismatch),
        ((ORGANISATION, ORGANISATION), SubjectMismatch),
        ((ORGANISATION.model_copy(update={"sha256": TEAM.sha256}),), SubjectMismatch),
        ((ORGANISATION.model_copy(update={"layer": "project"}),), SubjectMismatch),
        ((ORGANISATION.model_copy(update={"layer": "team"}), TEAM), SubjectMismatch),
    ],
)
def test_a_plan_without_the_one_organisation_first_counts_for_nothing(
    layers: tuple[LayerRef, ...], error: type[PolicydError]
) -> None:
    with pytest.raises(PolicydError) as refused:
        verify(*layers)

    assert type(refused.value) is error


@pytest.mark.parametrize("left_out", [TEAM, PROJECT])
def test_a_layer_of_the_plan_that_did_not_judge_is_missed(left_out: LayerRef) -> None:
    layers = (ORGANISATION, TEAM, PROJECT)

    with pytest.raises(SubjectMismatch, match="are not the plan's"):
        verify(*layers, layers=tuple(judged(layer) for layer in layers if layer is not left_out))


@pytest.mark.parametrize("verdict", [Verdict.UNDECIDED, Verdict.DENY, Verdict.NOT_EVALUATED])
def test_what_a_layer_said_may_not_contradict_the_decision(verdict: Verdict) -> None:
    """A layer that denied was waived; one below the organisation's may have had nothing to ask."""
    below = (judged(ORGANISATION), judged(TEAM, verdict=verdict))
    if verdict is Verdict.UNDECIDED:
        with pytest.raises(VerificationFailed, match="did not"):
            verify(ORGANISATION, TEAM, layers=below)
    else:
        verify(ORGANISATION, TEAM, layers=below)

    above = (judged(ORGANISATION, verdict=verdict), judged(TEAM))
    if verdict is Verdict.DENY:
        verify(ORGANISATION, TEAM, layers=above)
    else:
        with pytest.raises(VerificationFailed, match="did not"):
            verify(ORGANISATION, TEAM, layers=above)


def test_a_project_needs_no_entry_and_a_team_does() -> None:
    trust = make_trust(policy_sets=(ORGANISATION.sha256,))

    assert find_unlisted((ORGANISATION, PROJECT), trust) is None
    assert find_unlisted((ORGANISATION, TEAM, PROJECT), trust) is TEAM
    require_listed((ORGANISATION, PROJECT), trust, where="trust.yaml")
    with pytest.raises(IdentityNotTrusted, match="payments"):
        require_listed((ORGANISATION, TEAM), trust, where="trust.yaml")
