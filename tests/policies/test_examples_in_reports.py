"""Every report of what the bad examples break is valid and leaves nothing out."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from jsonschema import Draft4Validator, Draft202012Validator

from policyd.app.check import judge_all
from policyd.app.judging import open_judge
from policyd.models.decision import Effect
from policyd.models.settings import ProjectSettings
from policyd.policy.policy_set import PolicySet
from policyd.report.annotations import render_annotations
from policyd.report.check_junit import render_check_junit
from policyd.report.check_markdown import render_check_markdown
from policyd.report.code_quality import render_code_quality
from policyd.report.decision_json import render_check_json
from policyd.report.findings import Findings, Unreadable
from policyd.report.sarif import render_sarif
from tests.policies.test_examples import EXAMPLES, NOW, read_example

SCHEMAS = Path(__file__).resolve().parent.parent / "report"
#: What GitHub takes: a level, its properties, and one line of text without a bare per cent sign.
_COMMAND = re.compile(r"::(?:error|warning) (?:[a-zA-Z]+=(?:[^%:,\r\n]|%[0-9A-F]{2})*,?)+::(?:[^%\r\n]|%[0-9A-F]{2})+")


@pytest.fixture(scope="module")
def findings(files: Mapping[str, bytes]) -> Findings:
    """What a check finds in all bad examples, each in a repository of its own, and a file that nobody can read."""
    with open_judge(None, ProjectSettings(policyd="project/v1"), root=SCHEMAS) as judge:
        found = [
            judge_all(judge, read_example(path, files)[:1], [], NOW)
            for path in EXAMPLES
            if path.rpartition("/")[2].startswith("bad")
        ]
    unreadable = Unreadable("broken.yml", "not YAML: a tab", "broken.yml:2:1", "take it out")
    return Findings(tuple(judged for one in found for judged in one.judged), (unreadable,))


def count_standing(findings: Findings) -> Counter[str]:
    return Counter(violation.rule for judged in findings.judged for violation in judged.decision.violations)


def test_sarif_fits_the_official_schema_and_what_github_takes(findings: Findings, library: PolicySet) -> None:
    log = json.loads(render_sarif(findings, library.catalogue, version="0.1.0"))

    for validator, name in (
        (Draft4Validator, "sarif-schema-2.1.0.json"),
        (Draft202012Validator, "sarif-subset.schema.json"),
    ):
        schema = validator(json.loads((SCHEMAS / name).read_text()))
        assert [f"{list(error.path)}: {error.message}" for error in schema.iter_errors(log)] == []
    (run,) = log["runs"]
    assert Counter(result["ruleId"] for result in run["results"]) == count_standing(findings)
    assert [len(run["invocations"][0]["toolExecutionNotifications"]), run["invocations"][0]["executionSuccessful"]] == [
        1,
        False,
    ]
    prints = [tuple(result["partialFingerprints"].values()) for result in run["results"]]
    assert len(set(prints)) == len(prints)


def test_json_has_every_violation(findings: Findings, library: PolicySet) -> None:
    answer = json.loads(render_check_json(findings, library.catalogue))

    found = Counter(violation["rule"] for one in answer["decisions"] for violation in one["decision"]["violations"])
    assert found == count_standing(findings)
    assert found.keys() <= answer["rules"].keys()
    assert [one["path"] for one in answer["unreadable"]] == ["broken.yml"]


def test_junit_counts_what_it_holds(findings: Findings) -> None:
    root = ET.fromstring(render_check_junit(findings))

    assert {child.tag for child in root} == {"testsuite"}
    assert {child.tag for case in root.iter("testcase") for child in case} <= {"failure", "error", "system-out"}
    for element in (root, *root):
        cases = list(element.iter("testcase"))
        assert element.get("tests") == str(len(cases))
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert element.get(attribute) == str(sum(case.find(tag) is not None for case in cases))
    denied = {
        (judged.path, violation.rule)
        for judged in findings.judged
        for violation in judged.decision.violations
        if violation.effect is Effect.DENY
    }
    failed = {
        (case.get("classname"), case.get("name")) for case in root.iter("testcase") if case.find("failure") is not None
    }
    assert failed == denied


def test_code_quality_has_the_fields_that_gitlab_requires(findings: Findings) -> None:
    """docs.gitlab.com, "Code Quality report format": all but the line's end is required; a path without `./`."""
    entries = json.loads(render_code_quality(findings))

    assert len(entries) == count_standing(findings).total() + 1
    for entry in entries:
        assert entry.keys() == {"description", "check_name", "fingerprint", "severity", "location"}
        assert entry["severity"] in {"info", "minor", "major", "critical", "blocker"}
        assert entry["location"].keys() == {"path", "lines"}
        assert not entry["location"]["path"].startswith(("./", "/"))
        assert entry["location"]["lines"]["begin"] >= 1
    assert len({entry["fingerprint"] for entry in entries}) == len(entries)


def test_annotations_are_one_command_a_finding(findings: Findings) -> None:
    lines = render_annotations(findings).splitlines()

    assert len(lines) == count_standing(findings).total() + 1
    assert [line for line in lines if not _COMMAND.fullmatch(line)] == []


def test_markdown_names_every_rule_and_the_file_that_was_not_read(findings: Findings, library: PolicySet) -> None:
    text = render_check_markdown(findings, library.catalogue)

    assert {rule for rule in count_standing(findings) if f"`{rule}`" not in text} == set()
    assert "`broken.yml`" in text
