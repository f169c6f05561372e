"""JUnit files are counted, not believed."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyd.run.junit import read_junit


def test_cases_are_counted_and_the_attributes_are_not_believed() -> None:
    report = read_junit(
        b'<testsuites><testsuite tests="900" failures="0"><testcase name="a"/>'
        b'<testcase name="b"><failure/></testcase><testcase name="c"><error/></testcase>'
        b'<testcase name="d"><skipped/></testcase></testsuite></testsuites>'
    )

    assert (report.tests, report.failures, report.errors, report.skipped) == (4, 1, 1, 1)
    assert not report.passed
    assert [case["outcome"] for case in report.cases] == ["passed", "failure", "error", "skipped"]


@pytest.mark.parametrize(
    ("content", "passed"),
    [
        (b'<testsuite><testcase name="a"/></testsuite>', True),
        (b'<testsuite tests="5"></testsuite>', False),
        (b'<testsuite><testcase name="a"><skipped/></testcase></testsuite>', False),
        (b'<testsuite><testcase name="a"><skipped/><failure/></testcase></testsuite>', False),
    ],
    ids=["one case", "no case at all", "only skipped", "skipped and failed"],
)
def test_passed_needs_a_case_that_ran(content: bytes, passed: bool) -> None:
    assert read_junit(content).passed is passed


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not XML"),
        (b"<testsuite>", "not XML"),
        (b"<html/>", "root element"),
        (b'<!DOCTYPE t [<!ENTITY a "b">]><testsuite>&a;</testsuite>', "document type"),
        (b"<testsuite><testcase><testcase/></testcase></testsuite>", "inside"),
        (b"<testsuite>" + b"<a>" * 40, "deeper"),
    ],
)
def test_what_is_no_junit_file_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_junit(content)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_report_or_a_reason(content: bytes) -> None:
    with contextlib.suppress(ValueError):
        read_junit(content)
