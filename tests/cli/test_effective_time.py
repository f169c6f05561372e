"""Rules with a date: what warns today says from when it denies, and `check` alone may look at another day."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.workshop import Workshop, one_stage, open_workshop

pytestmark = pytest.mark.xdist_group("cli-effective-time")

RULE = """# METADATA
# title: Nothing is called build
# description: For the test.
# custom:
#   id: custom.one
#   severity: high
#   gate: pipeline
#   controls: [X-1]
#   effective_on: "2999-01-01T00:00:00Z"
#   remediation: Call it otherwise.
package policyd.custom.one

deny contains {"message": "it is called build", "at": stage.at} if {
	some stage in input.stages
	stage.name == "build"
}
"""


@pytest.fixture(scope="module")
def dated() -> Iterator[Workshop]:
    """A workshop whose operator asks one rule that comes into force in 2999."""
    with open_workshop() as shop:
        folder = shop.home / "policies" / "custom" / "one"
        folder.mkdir(parents=True)
        (folder / "one.rego").write_text(RULE)
        with shop.settings.open("a") as file:
            file.write(f'policy_set: "{shop.home / "policies"}"\n')
        shop.write(one_stage("'true'"))
        yield shop


def test_a_rule_not_yet_in_force_warns_with_the_date_from_which_it_denies(dated: Workshop) -> None:
    said = dated.call("check").require(0)
    (judged,) = dated.call("check", "--format", "json").require(0).json["decisions"]

    assert "warn  custom.one" in said.out
    assert "2999-01-01T00:00:00Z on this denies" in said.out
    (violation,) = judged["decision"]["violations"]
    assert (violation["effect"], violation["blocks_from"]) == ("warn", "2999-01-01T00:00:00Z")
    assert "weakened" not in judged["decision"] or judged["decision"]["weakened"] == []


@pytest.mark.parametrize(
    ("time", "code"),
    [
        ("2999-01-01", 1),
        ("2999-01-01T00:00:00Z", 1),
        ("2999-01-01T01:00:00+01:00", 1),
        ("2998-12-31T23:59:59.999999Z", 0),
        ("2999-01-01T00:30:00+01:00", 0),
        ("1999-01-01", 0),
    ],
)
def test_check_judges_as_of_another_time_and_the_decision_says_so(dated: Workshop, time: str, code: int) -> None:
    said = dated.call("check", "--effective-time", time).require(code)
    (judged,) = dated.call("check", "--effective-time", time, "--format", "json").require(code).json["decisions"]

    assert "weakened" in said.out
    (weakened,) = judged["decision"]["weakened"]
    assert weakened.startswith("judged as of ")
    assert judged["decision"]["violations"][0]["effect"] == ("deny" if code else "warn")


def test_sarif_says_that_the_time_was_another(dated: Workshop) -> None:
    document = dated.call("check", "--effective-time", "2999-01-01", "--format", "sarif").require(1).json

    (invocation,) = document["runs"][0]["invocations"]
    assert "weakened: judged as of 2999-01-01" in invocation["toolExecutionNotifications"][0]["message"]["text"]


@pytest.mark.parametrize("time", ["", "tomorrow", "2027-02-30", "2027-01-01T00:00:00", "20270101", "-1"])
def test_a_time_that_is_none_can_not_be_used(dated: Workshop, time: str) -> None:
    dated.call("check", f"--effective-time={time}").require_one_error(2, "--effective-time")


@pytest.mark.parametrize("command", [["plan", "pipeline.yaml"], ["run", "pipeline.yaml"], ["verify", "x"], ["audit"]])
def test_no_gate_takes_another_time(dated: Workshop, command: list[str]) -> None:
    dated.call(*command, "--effective-time", "2027-01-01").require_one_error(2, "--effective-time")
