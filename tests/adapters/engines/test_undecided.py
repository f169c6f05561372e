"""What keeps a rule from answering makes the decision undecided, on each engine, whatever the other rules say."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

import pytest

from policyd.models.base import Model
from policyd.models.decision import Decision, Gate, Verdict
from policyd.policy.asking import ask
from policyd.policy.engine import PolicyEngine
from policyd.policy.policy_set import PolicySet

Engines = Callable[..., AbstractContextManager[PolicyEngine]]
MakeSet = Callable[..., PolicySet]

ALLOWS = 'deny contains {"message": "m", "at": []} if input.x == 2\n'
DENIES = 'deny contains {"message": "m", "at": []} if input.x == 1\n'


class Input(Model):
    x: int
    words: list[str] = []


def misfit(**values: Any) -> Input:
    """Return an input that nobody has looked at."""
    return Input.model_construct(**values)


def decide(engine: PolicyEngine, policy_set: PolicySet, *ids: str, document: Model | None = None) -> Decision:
    return ask(
        engine,
        policy_set,
        [policy_set.catalogue[rule_id] for rule_id in ids or policy_set.catalogue],
        document or Input(x=1),
        gate=Gate.PIPELINE,
        subject="pipeline.yaml",
        now=datetime(2027, 1, 1, tzinfo=UTC),
        locate=lambda at: None,
        governance="self",
    )


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("dney contains 1 if input.x\n", "gave no answer"),
        ('deny := [] if input.x == "never"\n', "gave no answer"),
        ("deny := true\n", "not a set"),
        ("deny := null\n", "gave no answer|not a set"),
        ('deny := "none"\n', "not a set"),
        ("deny := 0\n", "not a set"),
        ('deny := {"message": "m", "at": []}\n', "not a set"),
        ("deny[0] := 1 if input.x\n", "not a set"),
        ('deny contains "text"\n', "not an object"),
        ('deny contains {"message": "m"}\n', "`at` is not a path"),
        ('deny contains {"at": []}\n', "a message is not text"),
        ('deny contains {"message": 1, "at": []}\n', "a message is not text"),
        ('deny contains {"message": "m", "at": "x"}\n', "`at` is not a path"),
        ('deny contains {"message": "m", "at": [true]}\n', "`at` holds something else"),
        ('deny contains {"message": "m", "at": [], "effect": "warn"}\n', "not an object of message"),
        ('deny contains {"message": "m", "at": []} if input.x / (input.x - 1) == 1\n', "could not be evaluated"),
        ('deny contains {"message": "m", "at": []} if count(input.x) == 1\n', "could not be evaluated"),
        ("deny := [] if input.x\n\ndeny := [1] if input.x\n", "could not be evaluated"),
    ],
)
@pytest.mark.parametrize("other", [ALLOWS, DENIES], ids=["others allow", "others deny"])
def test_a_rule_that_does_not_answer_as_a_rule_leaves_it_undecided(
    engines: Engines, make_set: MakeSet, code: str, reason: str, other: str
) -> None:
    policy_set = make_set(good=other, bad=code)
    with engines(policy_set) as engine:
        decision = decide(engine, policy_set)
        alone = decide(engine, policy_set, "a.good")

    assert decision.verdict is Verdict.UNDECIDED
    (problem,) = decision.problems
    assert problem.rule == "a.bad"
    assert pytest.raises(AssertionError, match=reason).matches(AssertionError(problem.message)), problem
    assert set(decision.rules) == {"a.good", "a.bad"}
    assert alone.verdict is (Verdict.ALLOW if other == ALLOWS else Verdict.DENY)


def test_a_package_that_the_engine_does_not_hold_leaves_it_undecided(engines: Engines, make_set: MakeSet) -> None:
    """The catalogue knows the rule, and the engine was given a policy set without it."""
    known = make_set(good=ALLOWS, missing=ALLOWS)
    with engines(make_set(good=ALLOWS)) as engine:
        decision = decide(engine, known)

    assert decision.verdict is Verdict.UNDECIDED
    assert "policyd.a.missing.deny" in decision.problems[0].message


@pytest.mark.parametrize(
    "document",
    [
        misfit(x="1"),
        misfit(x=None),
        misfit(x=1, words=[1]),
        misfit(x=1, words="abc"),
        misfit(words=[]),
    ],
    ids=["text", "null", "member", "no list", "missing"],
)
def test_an_input_that_does_not_fit_its_model_reaches_no_rule(
    engines: Engines, make_set: MakeSet, document: Any
) -> None:
    policy_set = make_set(good=ALLOWS)
    with engines(policy_set) as engine:
        decision = decide(engine, policy_set, document=document)

    assert decision.verdict is Verdict.UNDECIDED
    assert "the input does not fit its model" in decision.problems[0].message
    assert decision.rules == ("a.good",)


def test_an_input_that_is_no_text_reaches_no_rule(engines: Engines, make_set: MakeSet) -> None:
    policy_set = make_set(good=ALLOWS)
    with engines(policy_set) as engine:
        decision = decide(engine, policy_set, document=Input(x=1, words=["\ud800"]))

    assert decision.verdict is Verdict.UNDECIDED
