from __future__ import annotations

import pytest

from policyd.errors import UsageError
from policyd.models.decision import Gate
from policyd.policy.policy_set import read_policy_set
from policyd.policy.rule_template import make_rule


@pytest.mark.parametrize("gate", list(Gate))
def test_a_new_rule_is_a_policy_set(gate: Gate) -> None:
    policy_set = read_policy_set(make_rule("mine", "first_rule", gate), "new")

    assert policy_set.catalogue["mine.first_rule"].gate is gate


@pytest.mark.parametrize(
    ("family", "rule"),
    [("lib", "x"), ("a", "x_test"), ("A", "x"), ("a", "../x"), ("a.b", "x"), ("", "x"), ("a", "x/y"), ("a", "1x")],
)
def test_a_name_that_no_rule_can_have_is_refused(family: str, rule: str) -> None:
    with pytest.raises(UsageError, match="can't be the name"):
        make_rule(family, rule, Gate.PIPELINE)
