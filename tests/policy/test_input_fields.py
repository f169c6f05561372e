"""What rules can read of the input: told too much is slow, told too little is silent."""

from __future__ import annotations

import json

import pytest

from policyd.policy.input_fields import can_read, find_input_fields, find_left_out
from policyd.policy.policy_set import PolicySet, read_policy_set

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
READS = HEAD + 'deny contains {"message": "m", "at": []} if count(input.repository.pipelines) > 1\n'
READS_NOT = HEAD + 'deny contains {"message": "m", "at": []} if count(input.stages) > 1\n'


def policy_set(text: str) -> PolicySet:
    return read_policy_set({"rules/looks.rego": text.encode()}, name="test")


@pytest.mark.parametrize(
    "code",
    [
        "x := input.repository.pipelines",
        "x := input.repository",
        'x := input["repository"]',
        "x := input[name]",
        "x := object.get(input, name, 1)",
        "x := input",
        "import input.repository as r",
        "import input as i",
        "f(input)",
        "x := input\n.repository",
        "x := [y | some y in input]",
        'x := $"{input.repository}"',
        'x := "input of a"',
        'x := {"a":input}',
        'x := "a" == input',
        "# whatever the input says",
    ],
)
def test_every_way_to_reach_a_field_counts(code: str) -> None:
    assert can_read([f"package a\n{code}\n"], "repository")


@pytest.mark.parametrize(
    "code",
    [
        "x := input.stages",
        "x := reference.inputs",
        "x := my_input",
        "x := input.repository_name",
        "x := risk.input",
        'x := {"input": "a"}',
        "",
    ],
)
def test_other_fields_do_not(code: str) -> None:
    assert not can_read([f"# the input\npackage a\n{code}\n"], "repository")


def test_fields_are_named() -> None:
    text = "package a\ndeny if input.stages[_].name\nx := input.jobs\n"

    assert find_input_fields(text) == {"stages", "jobs"}


@pytest.mark.parametrize("repository", [{"pipelines": None}, {}])
def test_a_rule_that_reads_what_was_left_out_can_not_be_asked(repository: dict[str, object]) -> None:
    content = json.dumps({"repository": repository}).encode()

    problem = find_left_out(policy_set(READS), ["policyd.a.looks.deny"], content, where="ci.yml")

    assert problem is not None
    assert problem.where == "ci.yml"


def test_a_rule_that_reads_it_not_can_be_asked() -> None:
    content = json.dumps({"repository": {"pipelines": None}}).encode()

    assert find_left_out(policy_set(READS_NOT), ["policyd.a.looks.deny"], content, where="ci.yml") is None


def test_what_is_there_can_be_read() -> None:
    content = json.dumps({"repository": {"pipelines": []}}).encode()

    assert find_left_out(policy_set(READS), ["policyd.a.looks.deny"], content, where="ci.yml") is None
