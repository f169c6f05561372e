"""How a run's end becomes an exit code: nothing but a run that succeeded may be 0."""

from __future__ import annotations

from itertools import product

import pytest

from policyd.app.release import Released
from policyd.app.run import RunOutcome
from policyd.errors import EvidenceMissing, ExitCode, PolicydError, SignatureInvalid
from policyd.models.decision import Decision, Verdict
from policyd.models.manifest import Manifest, StageRecord, StageState
from policyd.models.pipeline import StageKind
from policyd.policy.catalogue import Catalogue
from policyd.report.findings import Judged
from tests.attestation.made_run import make_decision, make_plan, sha256

PLAN = make_plan()
DECISION = make_decision(PLAN)


def outcome(
    *states: StageState, not_admitted: tuple[Verdict, ...] = (), released: tuple[Released, ...] = ()
) -> RunOutcome:
    """Return how a run ended whose stages ended so."""
    stages = tuple(
        StageRecord(
            name=f"s{number}", kind=StageKind.BUILD, definition_sha256=sha256("definition"), attempt=1, state=state
        )
        for number, state in enumerate(states)
    )
    manifest = Manifest(
        run_id="ab" * 16,
        pipeline="demo",
        plan_sha256=PLAN.sha256,
        governance="operator",
        builder_id="https://builder.example",
        started_at="2026-05-01T11:00:00Z",
        finished_at="2026-05-01T11:00:01Z",
        succeeded=all(state is StageState.SUCCEEDED for state in states),
        stages=stages,
        decisions=(sha256("check"),),
        attestations=(),
        checkpoint="",
    )
    return RunOutcome(Judged("p", DECISION, b""), Catalogue(()), manifest, sha256("manifest"), released, not_admitted)


def answer(*, decision: Decision | None = None, error: PolicydError | None = None) -> Released:
    return Released("a", sha256("a"), "local", (), decision=decision, error=error)


def test_a_run_that_succeeded_is_0() -> None:
    assert outcome(StageState.SUCCEEDED).exit_code is ExitCode.OK


@pytest.mark.parametrize("states", list(product(list(StageState), repeat=2)), ids=lambda states: "-".join(states))
def test_only_a_run_in_which_every_stage_succeeded_is_0(states: tuple[StageState, ...]) -> None:
    """A run that was stopped between two stages has none that failed, and still is no success."""
    assert (outcome(*states).exit_code is ExitCode.OK) is (set(states) == {StageState.SUCCEEDED})


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        (Verdict.DENY, ExitCode.REFUSED),
        (Verdict.UNDECIDED, ExitCode.UNDECIDED),
        (Verdict.NOT_EVALUATED, ExitCode.NOT_EVALUATED),
    ],
)
def test_a_stage_that_was_not_admitted_says_why(verdict: Verdict, code: ExitCode) -> None:
    ended = outcome(StageState.DENIED, StageState.SKIPPED, not_admitted=(verdict,))

    assert ended.exit_code is code


def test_the_worst_of_several_reasons_counts() -> None:
    states = (StageState.FAILED, StageState.DENIED, StageState.DENIED)

    assert outcome(*states, not_admitted=(Verdict.DENY,)).exit_code is ExitCode.REFUSED
    assert outcome(*states, not_admitted=(Verdict.DENY, Verdict.UNDECIDED)).exit_code is ExitCode.UNDECIDED
    assert outcome(*states, not_admitted=(Verdict.NOT_EVALUATED,)).exit_code is ExitCode.STAGE_FAILED


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_release_that_is_not_allowed_is_no_success(verdict: Verdict) -> None:
    released = answer(decision=DECISION.model_copy(update={"verdict": verdict}))

    code = outcome(StageState.SUCCEEDED, released=(released,)).exit_code

    assert (code is ExitCode.OK) is (verdict is Verdict.ALLOW)


def test_a_release_that_could_not_be_decided_has_the_code_of_its_reason() -> None:
    for error, code in ((SignatureInvalid, ExitCode.REFUSED), (EvidenceMissing, ExitCode.UNDECIDED)):
        released = answer(error=error("c", where="w", fix="f"))
        assert outcome(StageState.SUCCEEDED, released=(released,)).exit_code is code
    assert outcome(StageState.SUCCEEDED, released=(answer(),)).exit_code is ExitCode.NOT_EVALUATED


@pytest.mark.parametrize("verdict", [Verdict.DENY, Verdict.UNDECIDED, Verdict.NOT_EVALUATED])
def test_a_run_that_did_not_start_has_the_code_of_its_check(verdict: Verdict) -> None:
    judged = Judged("p", DECISION.model_copy(update={"verdict": verdict}), b"")

    assert RunOutcome(judged, Catalogue(()), None, None, ()).exit_code is not ExitCode.OK
