from __future__ import annotations

from xml.etree import ElementTree

from policyd.policy.rule_tests import RuleTestResult
from policyd.report.junit import render_junit
from policyd.run.junit import read_junit

RESULTS = [
    RuleTestResult("a.test_one", "", "a_test.rego", "regorus"),
    RuleTestResult("a.test_<two>", 'not "this"', "a_test.rego", "regorus", details=("- x & y", "\x1b[31m ]]>")),
    RuleTestResult("a.test_one", "error: boom", "a_test.rego", "opa", errored=True),
]


def test_counts_and_reasons_are_there() -> None:
    suites = ElementTree.fromstring(render_junit(RESULTS))

    assert suites.attrib == {"tests": "3", "failures": "1", "errors": "1"}
    assert [suite.get("name") for suite in suites] == ["regorus: a_test.rego", "opa: a_test.rego"]
    [failure] = suites.iter("failure")
    assert failure.get("message") == 'not "this"'
    assert failure.text == 'not "this"\n- x & y\n\\x1b[31m ]]>'


def test_policyd_reads_its_own_report_as_failed() -> None:
    report = read_junit(render_junit(RESULTS).encode())

    assert (report.tests, report.passed) == (3, False)


def test_no_tests_are_no_pass() -> None:
    report = read_junit(render_junit([]).encode())

    assert not report.passed
