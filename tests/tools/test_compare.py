"""The page that compares policyd with other tools: it has every rule, and counts what it says it counts."""

from __future__ import annotations

import re

import pytest

from policyd.adapters.library import library_files
from policyd.models.decision import Gate
from policyd.policy.policy_set import read_policy_set
from tools.compare import PAGE, SYSTEMS, Count, Fixture, count, read_fixtures
from tools.corpus import Finding
from tools.peers import CHECKS, COMMANDS, READS, Said, rules_of

RULES = {
    rule.id: rule
    for rule in read_policy_set(library_files(), "library").catalogue.values()
    if rule.gate is Gate.PIPELINE
}
BAD = Fixture(
    "a/bad.yml", "github", {"w.yml": b""}, frozenset({Finding("a/bad.yml", "w.yml", 5, "f.one")}), "f.one",
    frozenset({"w.yml"}),
)  # fmt: skip
GOOD = Fixture("a/good.yml", "github", {"w.yml": b""}, frozenset(), "f.one", frozenset({"w.yml"}))
CASE = Fixture("github/case", "github", {"w.yml": b""}, frozenset(), "", frozenset({"w.yml"}))


def test_the_page_has_a_row_for_every_rule_and_system() -> None:
    """Run `make compare` where it doesn't."""
    sections = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL))
    for system, title in SYSTEMS.items():
        listed = re.findall(r"^\| \[([a-z_.0-9]+)\]", sections[title], re.MULTILINE)
        assert listed == sorted(rule.id for rule in RULES.values() if system in rule.applies_to), title


def test_checks_speak_of_rules_that_there_are() -> None:
    assert {rule for checks in CHECKS.values() for rules in checks.values() for rule in rules} <= RULES.keys()
    assert CHECKS.keys() == COMMANDS.keys() == READS.keys()
    assert "dependencies.unpinned_image" in rules_of("checkov", "azure")
    assert "dependencies.unpinned_image" not in rules_of("checkov", "gitlab")


@pytest.mark.parametrize(
    ("said", "counted"),
    [
        ([], Count(1, 0, 0, 0)),
        ([Said("a/bad.yml", "w.yml", 4, 6, "check")], Count(1, 1, 0, 0)),
        ([Said("a/bad.yml", "w.yml", 6, 9, "check")], Count(1, 0, 1, 0)),
        ([Said("a/bad.yml", "w.yml", 6, 9, "check"), Said("a/bad.yml", "w.yml", 5, 5, "check")], Count(1, 1, 0, 0)),
        ([Said("a/bad.yml", "w.yml", 5, 5, "other")], Count(1, 0, 0, 0)),
        ([Said("a/bad.yml", "w.yml", 5, 5, "unknown")], Count(1, 0, 0, 0)),
        ([Said("a/bad.yml", "beside.yml", 5, 5, "check")], Count(1, 0, 0, 0)),
        ([Said("a/good.yml", "w.yml", 5, 5, "check")], Count(1, 0, 0, 1)),
        ([Said("a/good.yml", "w.yml", 5, 5, "other")], Count(1, 0, 0, 0)),
        ([Said("github/case", "w.yml", 5, 5, "check")], Count(1, 0, 0, 1)),
    ],
)
def test_a_finding_is_at_its_line_elsewhere_false_or_about_something_else(said: list[Said], counted: Count) -> None:
    speaks_of = {"check": ("f.one",), "other": ("f.two",)}

    assert count([BAD, GOOD, CASE], said, speaks_of).by_rule[("github", "f.one")] == counted


def test_policyd_itself_is_granted_the_line_alone() -> None:
    said = [Said("a/bad.yml", "w.yml", 6, 6, "f.one")]

    assert count([BAD], said, None).by_rule[("github", "f.one")] == Count(1, 0, 0, 1)


def test_what_an_example_is_also_guilty_of_is_no_false_alarm() -> None:
    said = [Said("a/good.yml", "w.yml", 4, 6, "check")]
    speaks_of = {"check": ("f.one", "f.two")}

    for rule, alarms in (("f.two", 0), ("f.three", 1)):
        besides = frozenset({Finding("a/good.yml", "w.yml", 5, rule)})
        assert count([GOOD], said, speaks_of, besides).total("github").false == alarms


def test_an_unlabelled_line_of_a_case_is_a_false_alarm_of_any_rule() -> None:
    counted = count([CASE], [Said("github/case", "w.yml", 5, 5, "other")], {"other": ("f.two",)})

    assert counted.total("github") == Count(0, 0, 0, 1)


def test_fixtures_have_no_marks_and_labels_where_they_stood() -> None:
    fixtures = read_fixtures()

    assert {fixture.system for fixture in fixtures} == set(SYSTEMS)
    assert not [one.name for one in fixtures if any(b"# <-- " in content for content in one.files.values())]
    bad = next(one for one in fixtures if one.name == "injection/untrusted_expression/examples/bad.yml")
    assert bad.main == ".github/workflows/example.yml"
    (label,) = bad.wanted
    assert b"github.event.issue.title" in bad.files[bad.main].splitlines()[label.line - 1]
