"""The same findings as JUnit, GitLab code quality, Markdown and GitHub annotations."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from policyd.models.decision import Decision, Effect, Problem, Severity, Verdict, Violation
from policyd.report.annotations import render_annotations
from policyd.report.check_junit import render_check_junit
from policyd.report.check_markdown import render_check_markdown
from policyd.report.code_quality import render_code_quality
from policyd.report.findings import Findings, Judged, Rules, Unreadable
from policyd.report.personas import Persona, shown_to

MakeDecision = Callable[..., Decision]
PATH = ".github/workflows/release.yml"
HOSTILE = "x\n::error::y\n</testcase> ![i](http://e) <script> @all `a` ##vso[task.complete]\x1b[31m"


@pytest.fixture
def mixed(make_decision: MakeDecision, injection: Violation, unpinned: Violation, timeout: Violation) -> Findings:
    """One that stands, one waived, one ignored, a warning, a problem and a file nobody could read."""
    waived = unpinned.model_copy(update={"effect": Effect.WAIVED, "waiver": "w1"})
    ignored = unpinned.model_copy(update={"part_sha256": "9" * 64})
    decision = make_decision(
        Verdict.UNDECIDED,
        violations=(injection, waived, ignored, timeout),
        problems=(Problem(rule="hygiene.timeout", message="took too long", where="the rule process"),),
    )
    judged = Judged(PATH, decision, b"", ignored={2: "mirrored"})
    return Findings((judged,), (Unreadable("b.yml", "a tab", "b.yml:1:1", "take it out"),))


def test_junit_tells_failed_from_skipped_and_from_not_judged(mixed: Findings) -> None:
    root = ET.fromstring(render_check_junit(mixed))

    outcomes = {
        (suite.get("name"), case.get("name")): [child.tag for child in case] for suite in root for case in suite
    }
    assert outcomes == {
        (PATH, "dependencies.unpinned_component"): ["skipped"],
        (PATH, "hygiene.timeout"): ["error", "system-out"],
        (PATH, "injection.untrusted_expansion"): ["failure"],
        ("b.yml", "policyd check"): ["error"],
    }
    assert (root.get("failures"), root.get("errors"), root.get("skipped")) == ("1", "2", "1")


def test_junit_of_nothing_is_an_error() -> None:
    assert ET.fromstring(render_check_junit(Findings(()))).get("errors") == "1"


def test_code_quality_lists_what_stands_and_what_was_not_judged(mixed: Findings) -> None:
    entries = json.loads(render_code_quality(mixed))

    assert [(entry["check_name"], entry["severity"], entry["location"]["lines"]["begin"]) for entry in entries] == [
        ("injection.untrusted_expansion", "blocker", 8),
        ("hygiene.timeout", "minor", 4),
        ("policyd.undecided", "blocker", 1),
        ("policyd.undecided", "blocker", 1),
    ]
    assert len({entry["fingerprint"] for entry in entries}) == len(entries)


def test_a_report_of_nothing_says_so(rules: Rules) -> None:
    """An empty report would look like a clean one."""
    assert [entry["severity"] for entry in json.loads(render_code_quality(Findings(())))] == ["blocker"]
    assert render_annotations(Findings(())).startswith("::error ")
    assert "nothing was judged" in render_check_markdown(Findings(()), rules)


def test_every_report_says_what_to_do_about_a_file_nobody_could_read(mixed: Findings, rules: Rules) -> None:
    for text in (
        render_annotations(mixed),
        render_check_junit(mixed),
        render_code_quality(mixed),
        render_check_markdown(mixed, rules),
    ):
        assert "take it out" in text


def test_every_report_says_that_a_decision_was_weakened(make_decision: MakeDecision, rules: Rules) -> None:
    decision = make_decision(Verdict.ALLOW).model_copy(update={"weakened": ("unsigned rules count",)})
    findings = Findings((Judged(PATH, decision),))

    for text in (
        render_annotations(findings),
        render_check_junit(findings),
        render_code_quality(findings),
        render_check_markdown(findings, rules),
    ):
        assert "unsigned rules count" in text


def test_code_quality_fingerprints_survive_moved_lines(make_decision: MakeDecision, injection: Violation) -> None:
    assert injection.place is not None
    moved = injection.model_copy(update={"place": injection.place.model_copy(update={"line": 80, "end_line": 80})})

    first, second = (
        json.loads(render_code_quality(Findings((Judged(PATH, make_decision(violations=(one,))),))))[0]["fingerprint"]
        for one in (injection, moved)
    )
    assert first == second


def test_annotations_mark_the_lines(mixed: Findings) -> None:
    lines = render_annotations(mixed).splitlines()

    assert lines[0].startswith(
        "::error title=injection.untrusted_expansion (critical),file=.github/workflows/release.yml,line=8,endLine=8,"
    )
    assert [line.split(" ")[0] for line in lines] == ["::error", "::warning", "::error", "::error"]


def test_markdown_says_verdict_reason_and_remedy(mixed: Findings, rules: Rules) -> None:
    text = render_check_markdown(mixed, rules)

    assert text.startswith("## policyd: undecided\n")
    assert "`.github/workflows/release.yml:8:20`" in text
    assert "ignored in the file\\: mirrored" in text
    assert "To do:" in text


@pytest.mark.parametrize("render", [render_annotations, render_check_junit, render_code_quality])
def test_text_of_others_gives_no_commands(
    render: Callable[[Findings], str], make_decision: MakeDecision, injection: Violation
) -> None:
    hostile = injection.model_copy(update={"message": HOSTILE, "fix": HOSTILE})
    text = render(Findings((Judged(PATH, make_decision(violations=(hostile,))),)))

    assert "\x1b" not in text
    assert "##vso[" not in text
    assert not re.search(r"^\s*::error::y", text, re.MULTILINE)


def test_text_of_others_is_no_markdown(make_decision: MakeDecision, injection: Violation, rules: Rules) -> None:
    hostile = injection.model_copy(update={"message": HOSTILE})
    text = render_check_markdown(Findings((Judged("a`b.yml", make_decision(violations=(hostile,))),)), rules)

    said = next(line for line in text.splitlines() if "<" in line)
    assert not re.search(r"(?<!\\)[<!@\[`](?!\.github)", said.replace("`.github/workflows/release.yml:8:20`", ""))


def test_an_annotation_keeps_to_its_properties(make_decision: MakeDecision, injection: Violation) -> None:
    text = render_annotations(
        Findings((Judged("a,line=1::b%", make_decision(violations=(injection.model_copy(update={"place": None}),))),))
    )

    assert "file=a%2Cline=1%3A" in text


@pytest.mark.parametrize(("persona", "hidden"), [(Persona.REGULAR, 2), (Persona.PEDANTIC, 1), (Persona.AUDITOR, 0)])
def test_a_persona_hides_warnings_and_never_what_denies(
    make_decision: MakeDecision, injection: Violation, timeout: Violation, persona: Persona, hidden: int
) -> None:
    doubtful = timeout.model_copy(update={"confidence": "low"})
    small = timeout.model_copy(update={"severity": Severity.INFO})
    denied = injection.model_copy(update={"confidence": "low"})
    findings = Findings(
        (replace(Judged(PATH, make_decision(violations=(doubtful, small, timeout, denied))), ignored={3: "why"}),)
    )

    shown = shown_to(findings, persona)

    assert shown.hidden == hidden
    kept = shown.judged[0]
    assert kept.decision.violations[-1] == denied
    assert kept.ignored == {len(kept.decision.violations) - 1: "why"}
    assert shown.verdict is findings.verdict
