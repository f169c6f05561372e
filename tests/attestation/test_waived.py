"""Waived decisions in a release: each rests on a waiver that counted when it was made."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from policyd.attestation.waived import describe_waived
from policyd.attestation.waivers import (
    ReadWaiver,
    WaiverTerms,
    add_signature,
    read_waiver_file,
    render_waiver,
    unsigned_envelope,
    waiver_statement,
)
from policyd.errors import PolicydError, SubjectMismatch, VerificationFailed, WaiverUnusable
from policyd.models.decision import Effect, Gate, Level, Severity, Violation, WaiverNote, WaiverState
from policyd.models.trust import Role
from policyd.models.waiver import Waiver
from tests.attestation.made_run import (
    NOW,
    MadeRun,
    key,
    make_decision,
    make_plan,
    make_role,
    make_run,
    make_trust,
    sha256,
    trusted,
)

DECIDED = NOW - timedelta(hours=1)
PART = sha256("part")


def make_waiver(**changes: object) -> Waiver:
    values: dict[str, object] = {
        "gate": Gate.PIPELINE,
        "rule": "dependencies.unverified_script",
        "message": "what curl downloads is run",
        "file": "pipeline.yaml",
        "at": ("commands", 3),
        "part_sha256": PART,
        "reason": "the vendor publishes no digests",
        "requested_by": "requester@example.com",
        "requested_at": DECIDED - timedelta(days=2),
        "not_before": DECIDED - timedelta(days=1),
        "expires_at": DECIDED + timedelta(minutes=1),
        **changes,
    }
    return Waiver(**values)  # type: ignore[arg-type]


def sign(waiver: Waiver, *signers: str) -> bytes:
    envelope = unsigned_envelope(waiver_statement(waiver))
    for signer in signers or ("requester", "waiver-approver"):
        envelope = add_signature(envelope, key(signer))
    return render_waiver(envelope)


def read(content: bytes) -> ReadWaiver:
    found = read_waiver_file(content, where="waiver")
    assert isinstance(found, ReadWaiver)
    return found


def waived(waiver: Waiver, name: str | None, **changes: object) -> Violation:
    violation = Violation(
        rule=waiver.rule,
        message=waiver.message,
        at=waiver.at,
        effect=Effect.WAIVED,
        level=Level.SOFT,
        severity=Severity.HIGH,
        part_sha256=waiver.part_sha256,
        waiver=name,
    )
    return violation.model_copy(update=changes)


def make_waived_run(
    content: bytes, violation: Violation, *, planned: bool = True, listed: bool = True, **decision: object
) -> MadeRun:
    """Return a run whose check decision waives `violation`; the plan and the manifest list `content`."""
    run = MadeRun()
    digest = run.put(content)
    run.plan = make_plan(waivers=(digest,) if planned else ())
    run.put(run.plan.to_json())
    run.check(violations=(violation,), **decision)
    for stage in run.plan.stages:
        run.run_stage(stage.name)
    run.changes = {"waivers": (digest,)} if listed else {}
    return run


def good() -> tuple[bytes, Violation]:
    content = sign(make_waiver())
    return content, waived(make_waiver(), read(content).sha256)


def test_a_waiver_that_counted_at_the_decision_carries_the_release() -> None:
    """It has expired since: what it permitted was done while it was in force."""
    run = make_waived_run(*good())

    release = run.release()

    assert [found.waiver.rule for found in release.waivers] == ["dependencies.unverified_script"]
    assert release.input_sha256s[-1] in run.evidence


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"expires_at": DECIDED}, WaiverUnusable),
        ({"not_before": DECIDED + timedelta(seconds=30)}, WaiverUnusable),
        ({"requested_at": DECIDED - timedelta(days=91)}, WaiverUnusable),
        ({"requested_by": "somebody@example.com"}, WaiverUnusable),
        ({"file": "other.yaml"}, SubjectMismatch),
        ({"part_sha256": sha256("another part")}, SubjectMismatch),
        ({"rule": "dependencies.insecure_url"}, SubjectMismatch),
        ({"message": "something else"}, SubjectMismatch),
        ({"at": ("references", 3)}, SubjectMismatch),
        ({"target": "staging"}, SubjectMismatch),
        ({"gate": Gate.STAGE, "stage": "build"}, SubjectMismatch),
    ],
)
def test_one_that_did_not_count_then_or_is_for_something_else_is_refused(
    change: dict[str, object], error: type[PolicydError]
) -> None:
    content = sign(make_waiver(**change))
    run = make_waived_run(content, waived(make_waiver(), read(content).sha256))

    with pytest.raises(error):
        run.release()


@pytest.mark.parametrize(
    "signers",
    [("requester",), ("waiver-approver",), ("requester", "approver"), ("requester", "a stranger"), ("a stranger",)],
)
def test_one_without_its_requester_and_its_approver_is_refused(signers: tuple[str, ...]) -> None:
    content = sign(make_waiver(), *signers)
    run = make_waived_run(content, waived(make_waiver(), read(content).sha256))

    with pytest.raises(WaiverUnusable):
        run.release()


def test_one_that_was_revoked_since_carries_nothing() -> None:
    content, violation = good()
    run = make_waived_run(content, violation)
    terms = WaiverTerms(run.trust, revoked={read(content).sha256: "by carol: it was a mistake"})

    with pytest.raises(WaiverUnusable, match="by carol: it was a mistake"):
        run.release(waivers=terms)


def test_a_key_that_was_revoked_before_the_decision_carries_nothing_and_later_it_does() -> None:
    content, violation = good()
    for moment, holds in ((DECIDED - timedelta(hours=1), False), (DECIDED + timedelta(minutes=1), True)):
        run = make_waived_run(content, violation)
        entry = trusted(key("waiver-approver"), "waiver-approver@example.com", revoked_at=moment)
        run.trust = make_role(make_trust(), Role.WAIVER_APPROVER, keys=(entry,))

        if holds:
            assert run.release().waivers
        else:
            with pytest.raises(WaiverUnusable, match="revoked"):
                run.release()


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: make_waived_run(*good(), listed=False), VerificationFailed),
        (lambda: make_waived_run(*good(), planned=False), SubjectMismatch),
        (lambda: make_waived_run(good()[0], waived(make_waiver(), None)), VerificationFailed),
        (lambda: make_waived_run(good()[0], waived(make_waiver(), sha256("another"))), VerificationFailed),
        (lambda: make_waived_run(good()[0], good()[1].model_copy(update={"level": Level.HARD})), VerificationFailed),
        (
            lambda: make_waived_run(good()[0], good()[1].model_copy(update={"level": Level.ADVISORY})),
            VerificationFailed,
        ),
        (lambda: make_waived_run(b"no waiver", good()[1]), VerificationFailed),
    ],
    ids=["not listed", "not planned", "none named", "another named", "hard", "advisory", "no waiver"],
)
def test_a_waived_violation_without_its_waiver_is_refused(
    make: Callable[[], MadeRun], error: type[PolicydError]
) -> None:
    with pytest.raises(error):
        make().release()


def test_one_waiver_is_not_for_two_violations() -> None:
    content, violation = good()
    run = make_waived_run(content, violation)
    run.check(violations=(violation, violation.model_copy(update={"at": ("commands", 4)})))
    run.records.clear()
    for stage in run.plan.stages:
        run.run_stage(stage.name)

    with pytest.raises(SubjectMismatch, match="not for this violation"):
        run.release()


def test_a_listed_waiver_that_nothing_used_has_to_count_too() -> None:
    """The release gate may use it."""
    run = make_run()
    run.plan = make_plan()
    content = sign(make_waiver(), "requester")
    digest = run.put(content)
    run = make_run(plan=make_plan(waivers=(digest,)))
    run.put(content)
    run.changes = {"waivers": (digest,)}

    with pytest.raises(WaiverUnusable, match="nobody has approved it"):
        run.release()


def test_what_is_waived_is_said_in_words() -> None:
    content, violation = good()
    note = WaiverNote(
        state=WaiverState.USED,
        source="waivers/a.json",
        sha256=read(content).sha256,
        approved_by=("bob",),
        expires_at="2027-01-01T00:00:00.000000Z",
    )
    decision = make_decision(make_plan(), violations=(violation,), waivers=(note,))

    assert describe_waived(decision) == (
        f"; waived: dependencies.unverified_script by bob until 2027-01-01 (waiver {read(content).sha256[:12]})"
    )
    assert describe_waived(make_decision(make_plan())) == ""
