"""A rule asked by its path says what a query would: all that stands there, or that there is nothing."""

from __future__ import annotations

import pytest

from policyd.adapters.engines.embedded import EmbeddedEngine
from policyd.policy.engine import Answer
from policyd.policy.policy_set import read_policy_set

HEAD = """\
# METADATA
# title: A rule that looks
# description: It looks at the input.
# custom:
#   id: a.looks
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-1]
#   remediation: Mend it.
package policyd.a.looks

"""


@pytest.mark.parametrize(
    ("rules", "answer"),
    [
        ('deny contains "x" if input.x == 1', Answer(value=["x"])),
        ('deny contains "x" if input.x == 2', Answer(value=[])),
        ("deny := 1 if input.x == 2", Answer()),
        ('deny := "<undefined>" if input.x == 1', Answer(value="<undefined>")),
        ("deny.a := 1 if input.x == 1\ndeny.b := 2", Answer(value={"a": 1, "b": 2})),
        ("other := 1", Answer()),
        ("default deny := false", Answer(value=False)),
    ],
)
def test_a_rule_answers_by_its_path(rules: str, answer: Answer) -> None:
    policy_set = read_policy_set({"rules/looks.rego": (HEAD + rules + "\n").encode()}, name="test")

    with EmbeddedEngine(policy_set) as engine:
        for _ in range(2):
            assert engine.query(["policyd.a.looks.deny"], b'{"x": 1}') == {"policyd.a.looks.deny": answer}
