from __future__ import annotations

from collections.abc import Callable

import pytest

from policyd.errors import PolicyError
from policyd.models.decision import Gate
from policyd.policy.policy_set import PolicySet, read_policy_set
from policyd.policy.selecting import select_rules

Rule = Callable[..., bytes]


@pytest.fixture
def policy_set(rule: Rule) -> PolicySet:
    return read_policy_set(
        {
            "red.rego": rule("red"),
            "blue.rego": rule("blue", more="#   applies_to: [github]\n"),
            "green.rego": rule("green", gate="stage"),
            "collections/baseline.json": b'["colours.red", "colours.green"]',
        },
        "x",
    )


def ids(*arguments: object, **options: object) -> list[str]:
    return [rule.id for rule in select_rules(*arguments, **options)]  # type: ignore[arg-type]


def test_a_collection_names_the_rules_of_every_gate(policy_set: PolicySet) -> None:
    assert ids(policy_set, Gate.PIPELINE, "baseline") == ["colours.red"]
    assert ids(policy_set, Gate.STAGE, "baseline") == ["colours.green"]
    assert ids(policy_set, Gate.RELEASE, "baseline") == []


def test_a_project_adds_rules(policy_set: PolicySet) -> None:
    assert ids(policy_set, Gate.PIPELINE, "baseline", ["colours.blue"]) == ["colours.blue", "colours.red"]


def test_without_a_collection_all_rules_are_asked(policy_set: PolicySet) -> None:
    assert ids(policy_set, Gate.PIPELINE) == ["colours.blue", "colours.red"]


def test_a_set_without_collections_is_asked_whole(rule: Rule) -> None:
    assert ids(read_policy_set({"red.rego": rule("red")}, "x"), Gate.PIPELINE, "baseline") == ["colours.red"]


def test_rules_of_another_dialect_are_left_out(policy_set: PolicySet) -> None:
    assert ids(policy_set, Gate.PIPELINE, dialect="policyd") == ["colours.red"]
    assert ids(policy_set, Gate.PIPELINE, dialect="github") == ["colours.blue", "colours.red"]


def test_an_unknown_collection_is_refused(policy_set: PolicySet) -> None:
    with pytest.raises(PolicyError, match="no collection 'basline'"):
        select_rules(policy_set, Gate.PIPELINE, "basline")


def test_an_unknown_rule_is_refused(policy_set: PolicySet) -> None:
    with pytest.raises(PolicyError, match=r"no rule 'colours\.grey'"):
        select_rules(policy_set, Gate.PIPELINE, "baseline", ["colours.grey"])
