"""A baseline knows what was there, as often as it was there, and nothing else."""

from __future__ import annotations

from policyd.models.baseline import Baseline, KnownViolation
from policyd.models.decision import Decision, Effect, EngineRef, Gate, Level, Severity, Verdict, Violation
from policyd.models.plan import PolicySetRef
from policyd.policy.baseline import compare, make_baseline

FILE = ".github/workflows/ci.yml"


def broken(rule: str = "a.red", part: str | None = "1" * 64, **changes: object) -> Violation:
    values: dict[str, object] = {
        "rule": rule,
        "message": "m",
        "at": ("commands", 0),
        "effect": Effect.DENY,
        "level": Level.SOFT,
        "severity": Severity.HIGH,
        "part_sha256": part,
        **changes,
    }
    return Violation.model_validate(values)


def decided(*violations: Violation) -> Decision:
    return Decision(
        gate=Gate.PIPELINE,
        verdict=Verdict.DENY if violations else Verdict.ALLOW,
        subject=FILE,
        policy_set=PolicySetRef(name="house", sha256="0" * 64),
        engine=EngineRef(name="fake", version="1"),
        input_sha256="0" * 64,
        rules=("a.red", "a.blue"),
        violations=violations,
        governance="self",
        decided_at="2027-01-01T00:00:00.000000Z",
    )


def test_what_was_there_is_known() -> None:
    decision = decided(broken(), broken("a.blue"))

    compared = compare(make_baseline([(FILE, decision)]), [(FILE, decision)])

    assert compared.known == (frozenset({0, 1}),)
    assert compared.gone == ()


def test_it_stays_known_where_it_moves_and_is_new_once_it_is_edited() -> None:
    baseline = make_baseline([(FILE, decided(broken()))])

    moved = compare(baseline, [(FILE, decided(broken(at=("commands", 7), message="another")))])
    edited = compare(baseline, [(FILE, decided(broken(part="2" * 64)))])

    assert moved.known == (frozenset({0}),)
    assert edited.known == (frozenset(),)
    assert [entry.rule for entry in edited.gone] == ["a.red"]


def test_another_rule_or_file_is_new() -> None:
    baseline = make_baseline([(FILE, decided(broken()))])

    compared = compare(baseline, [(FILE, decided(broken("a.blue"))), ("b.yml", decided(broken()))])

    assert compared.known == (frozenset(), frozenset())


def test_a_further_copy_of_what_is_known_is_new() -> None:
    baseline = make_baseline([(FILE, decided(broken(), broken()))])
    (entry,) = baseline.known

    compared = compare(baseline, [(FILE, decided(broken(), broken(), broken()))])

    assert entry.count == 2
    assert compared.known == (frozenset({0, 1}),)


def test_two_entries_of_one_thing_count_together() -> None:
    entry = KnownViolation(rule="a.red", file=FILE, part_sha256="1" * 64)

    compared = compare(Baseline(known=(entry, entry)), [(FILE, decided(broken(), broken(), broken()))])

    assert compared.known == (frozenset({0, 1}),)


def test_a_violation_of_the_whole_file_is_known_by_its_message() -> None:
    baseline = make_baseline([(FILE, decided(broken(part=None)))])

    compared = compare(baseline, [(FILE, decided(broken(part=None), broken(part=None, message="another")))])

    assert compared.known == (frozenset({0}),)


def test_what_will_deny_from_a_date_on_is_in_a_baseline_and_what_only_warns_or_is_waived_is_not() -> None:
    later = broken(effect=Effect.WARN, blocks_from="2028-01-01T00:00:00Z")
    advice = broken("a.blue", effect=Effect.WARN, level=Level.ADVISORY)
    waived = broken("a.blue", effect=Effect.WAIVED, waiver="w")

    baseline = make_baseline([(FILE, decided(later, advice, waived))])

    assert [entry.rule for entry in baseline.known] == ["a.red"]
    assert compare(baseline, [(FILE, decided(broken()))]).known == (frozenset({0}),)


def test_only_of_what_was_looked_at_can_be_said_that_it_is_gone() -> None:
    baseline = make_baseline([(FILE, decided(broken(), broken())), ("b.yml", decided(broken()))])

    here = compare(baseline, [(FILE, decided(broken()))])
    elsewhere = compare(baseline, [("c.yml", decided())])
    deleted = compare(baseline, [("c.yml", decided())], missing=["b.yml"])

    assert [(entry.file, entry.count) for entry in here.gone] == [(FILE, 1)]
    assert elsewhere.gone == ()
    assert [entry.file for entry in deleted.gone] == ["b.yml"]


def test_the_same_findings_make_the_same_baseline_in_any_order() -> None:
    one, other = broken(), broken("a.blue")

    assert make_baseline([(FILE, decided(one, other))]) == make_baseline([(FILE, decided(other, one))])
