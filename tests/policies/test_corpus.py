"""What policyd finds in the labelled pipelines is what their labels say; what it misses is known and little."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from policyd.app.judging import Judge, open_judge
from policyd.models.settings import ProjectSettings
from tools.corpus import ROOT, Case, Finding, Measured, find_in, measure, read_cases, report

CASES = read_cases()


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with open_judge(None, ProjectSettings(policyd="project/v1"), root=ROOT) as opened:
        yield opened


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_is_found_guilty_of_its_labels_and_of_nothing_else(case: Case, judge: Judge) -> None:
    assert set(find_in(case, judge)) == (case.wanted - case.missed) | case.false


def test_known_misses_and_false_alarms_are_few_enough() -> None:
    wanted = frozenset[Finding]().union(*(case.wanted for case in CASES))
    found = wanted - frozenset[Finding]().union(*(case.missed for case in CASES))
    found |= frozenset[Finding]().union(*(case.false for case in CASES))
    measured = Measured(wanted, found)
    assert measured.recall >= 0.95
    assert measured.precision >= 0.95


def test_a_miss_and_a_false_alarm_count(tmp_path: Path) -> None:
    case = tmp_path / "github" / "one" / ".github" / "workflows"
    case.mkdir(parents=True)
    (case / "a.yml").write_text(
        "on: push\n"
        "permissions: {}\n"
        "jobs:\n"
        "  a:\n"
        "    runs-on: ubuntu-24.04\n"
        "    steps:\n"
        "      - run: echo ok # <-- injection.untrusted_expression\n"
        "      - uses: a/b@main\n"
    )
    measured = measure(read_cases(tmp_path))

    assert (measured.recall, measured.precision) == (0, 0)
    lines = list(report(measured))
    assert lines[0] == "missed  github/one/.github/workflows/a.yml:7: injection.untrusted_expression"
    assert lines[1] == "false   github/one/.github/workflows/a.yml:8: dependencies.unpinned_component"


def test_a_label_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "github" / "one").mkdir(parents=True)
    (tmp_path / "github" / "one" / "a.yml").write_text("a: b # <-- here\n")
    with pytest.raises(ValueError, match=r"github/one/a\.yml:1"):
        read_cases(tmp_path)
