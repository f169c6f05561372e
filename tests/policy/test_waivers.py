"""What waivers change about a decision, and what they leave as it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from policyd.attestation.waivers import VerifiedWaiver
from policyd.models.canonical import canonical_json, sha256_hex
from policyd.models.decision import (
    Decision,
    Effect,
    EngineRef,
    Gate,
    Level,
    Problem,
    Severity,
    Verdict,
    Violation,
    WaiverNote,
    WaiverState,
)
from policyd.models.plan import PolicySetRef
from policyd.models.waiver import Site, Waiver
from policyd.policy.parts import holds_part, part_sha256
from policyd.policy.waivers import KnownWaivers, waive

NOW = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
DOOR = {"name": "door"}
DOCUMENT = {"things": [DOOR, {"name": "wall"}]}
PART = sha256_hex(canonical_json(DOOR))
SITE = Site(Gate.PIPELINE, "pipeline.yaml", targets=frozenset({"local"}))


def broken(index: int = 0, **changes: object) -> Violation:
    violation = Violation(
        rule="colours.red",
        message="the door is red",
        at=("things", index),
        effect=Effect.DENY,
        level=Level.SOFT,
        severity=Severity.HIGH,
        part_sha256=PART,
    )
    return violation.model_copy(update=changes)


def decided(*violations: Violation, verdict: Verdict = Verdict.DENY, **changes: object) -> Decision:
    decision = Decision(
        gate=Gate.PIPELINE,
        verdict=verdict,
        subject="pipeline.yaml",
        policy_set=PolicySetRef(name="house", sha256="0" * 64),
        engine=EngineRef(name="fake", version="1"),
        input_sha256="1" * 64,
        rules=("colours.red",),
        violations=violations,
        governance="operator",
        decided_at="2026-12-01T12:00:00.000000Z",
    )
    return decision.model_copy(update=changes)


def verified(name: str = "a", **changes: Any) -> VerifiedWaiver:
    values: dict[str, Any] = {
        "gate": Gate.PIPELINE,
        "rule": "colours.red",
        "message": "the door is red",
        "file": "pipeline.yaml",
        "at": ("things", 0),
        "part_sha256": PART,
        "reason": "paint comes on Friday",
        "requested_by": "alice",
        "requested_at": NOW,
        "not_before": NOW,
        "expires_at": NOW + timedelta(days=30),
        **changes,
    }
    return VerifiedWaiver(
        waiver=Waiver(**values),
        sha256=sha256_hex(name.encode()),
        evidence_sha256=sha256_hex(f"file {name}".encode()),
        source=f"waivers/{name}.json",
        requested_by=frozenset({"alice"}),
        approved_by=frozenset({"bob"}),
    )


def weigh(decision: Decision, *waivers: VerifiedWaiver, site: Site = SITE, **known: Any) -> Decision:
    return waive(
        decision,
        KnownWaivers(waivers, **known),
        site=site,
        rules={"colours.red"},
        document=lambda: DOCUMENT,
        now=NOW,
    )


def states(decision: Decision) -> list[WaiverState]:
    return [note.state for note in decision.waivers]


def test_what_is_covered_is_waived_and_the_rest_allows() -> None:
    decision = weigh(decided(broken()), verified())

    assert decision.verdict is Verdict.ALLOW
    assert decision.violations[0].effect is Effect.WAIVED
    assert decision.violations[0].waiver == verified().sha256
    assert states(decision) == [WaiverState.USED]


def test_without_waivers_a_decision_is_the_same() -> None:
    decision = decided(broken())

    assert weigh(decision) is decision


def test_one_waiver_lifts_one_violation_its_own_position_first() -> None:
    decision = weigh(decided(broken(0), broken(1)), verified(at=("things", 1)))

    assert [violation.effect for violation in decision.violations] == [Effect.DENY, Effect.WAIVED]
    assert decision.verdict is Verdict.DENY


def test_two_waivers_lift_two() -> None:
    decision = weigh(decided(broken(0), broken(1)), verified("a", at=("things", 1)), verified("b", at=("things", 1)))

    assert decision.verdict is Verdict.ALLOW
    assert len({violation.waiver for violation in decision.violations}) == 2


@pytest.mark.parametrize("verdict", [Verdict.UNDECIDED, Verdict.NOT_EVALUATED])
def test_doubt_and_silence_stay_what_they_are(verdict: Verdict) -> None:
    problem = Problem(message="the rule looped", where="rule")

    decision = weigh(decided(broken(), verdict=verdict, problems=(problem,)), verified())

    assert decision.verdict is verdict


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({"level": Level.HARD}, WaiverState.IGNORED),
        ({"level": Level.ADVISORY, "effect": Effect.WARN}, WaiverState.UNUSED),
        ({"effect": Effect.WARN, "blocks_from": "2027-01-01T00:00:00Z"}, WaiverState.UNUSED),
    ],
)
def test_only_a_soft_denial_is_lifted(change: dict[str, Any], state: WaiverState) -> None:
    decision = weigh(decided(broken(**change)), verified())

    assert decision.violations == (broken(**change),)
    assert states(decision) == [state]
    assert decision.verdict is Verdict.DENY


@pytest.mark.parametrize(
    "change",
    [
        {"rule": "colours.blue"},
        {"message": "the door is blue"},
        {"part_sha256": sha256_hex(b"another")},
        {"at": ("walls", 0)},
        {"at": ("things", 0, "name")},
        {"file": "other.yaml"},
        {"gate": Gate.STAGE, "stage": "build"},
        {"target": "production"},
        {
            "gate": Gate.RELEASE,
            "file": None,
            "part_sha256": None,
            "artifact_sha256": PART,
        },
    ],
)
def test_a_waiver_of_something_else_lifts_nothing(change: dict[str, Any]) -> None:
    decision = weigh(decided(broken()), verified(**change))

    assert decision.violations == (broken(),)
    assert decision.verdict is Verdict.DENY


def test_a_target_counts_where_everything_goes_there() -> None:
    waiver = verified(target="local")

    for targets, verdict in (
        ({"local"}, Verdict.ALLOW),
        ({"local", "production"}, Verdict.DENY),
        (set(), Verdict.DENY),
    ):
        site = Site(Gate.PIPELINE, "pipeline.yaml", targets=frozenset(targets))
        assert weigh(decided(broken()), waiver, site=site).verdict is verdict


def test_what_does_not_count_is_noted_where_it_matters() -> None:
    unreadable = WaiverNote(state=WaiverState.INVALID, source="waivers/x.json", why="not JSON")
    elsewhere = verified(file="other.yaml").waiver
    expired = WaiverNote(state=WaiverState.EXPIRED, source="waivers/y.json")

    decision = weigh(decided(broken()), others=((None, unreadable), (elsewhere, expired)))

    assert decision.waivers == (unreadable,)
    gone = weigh(decided(broken()), others=((elsewhere, expired),), gone=frozenset({"other.yaml"}))
    assert gone.waivers == (expired,)


def test_a_waiver_of_a_rule_or_part_that_is_gone_is_orphaned() -> None:
    of_rule = verified(rule="colours.green")
    of_part = verified(part_sha256=sha256_hex(b"gone"))
    of_kept = verified(message="as it was worded once")

    assert [states(weigh(decided(broken()), waiver))[0] for waiver in (of_rule, of_part, of_kept)] == [
        WaiverState.ORPHANED,
        WaiverState.ORPHANED,
        WaiverState.UNUSED,
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"part_sha256": None},
        {"file": None},
        {"file": ""},
        {"stage": "build"},
        {"gate": Gate.STAGE},
        {"artifact_sha256": PART},
        {"gate": Gate.RELEASE},
        {"expires_at": NOW},
        {"not_before": NOW - timedelta(days=1)},
        {"reason": "short"},
    ],
)
def test_a_waiver_that_binds_nothing_or_has_no_time_is_none(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        verified(**change)


def test_a_part_is_named_without_where_it_stands() -> None:
    document = {"commands": [{"at": ["commands", 0], "text": "a"}, {"at": ["commands", 1], "text": "b"}]}

    named = part_sha256(document, ("commands", 1))

    assert named == sha256_hex(canonical_json({"text": "b"}))
    assert holds_part(document, ("commands", 0), named)
    assert not holds_part(document, ("commands", 0, "text"), named)
    assert part_sha256(document, ()) is None
    assert part_sha256(document, ("commands", 7)) is None
    assert part_sha256({"n": 2**60}, ("n",)) is None
