"""What a person reads after a check."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from policyd.errors import DocumentError
from policyd.models.decision import Decision, Effect, Place, Problem, Related, Verdict, Violation
from policyd.report.decision_text import render_check
from policyd.report.excerpt import excerpt
from policyd.report.findings import Findings, Judged, Rules, Unreadable
from policyd.report.layout import plain
from policyd.report.text import columns

PATH = ".github/workflows/release.yml"
WORKFLOW = b"""\
name: release
on: issues
jobs:
  greet:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: echo "${{ github.event.issue.title }}"
"""
MakeDecision = Callable[..., Decision]
Golden = Callable[[str, str], None]


def findings(decision: Decision, content: bytes = WORKFLOW) -> Findings:
    return Findings((Judged(PATH, decision, content),))


def test_a_refusal_says_where_what_why_and_what_to_do(
    make_decision: MakeDecision, rules: Rules, golden: Golden, injection: Violation, unpinned: Violation,
    timeout: Violation,
) -> None:  # fmt: skip
    decision = make_decision(violations=(timeout, unpinned, injection), weakened=("evaluated as of 2027-01-01",))

    golden("check-deny.txt", render_check(findings(decision), rules))


def test_an_approval_is_one_line(make_decision: MakeDecision, rules: Rules, golden: Golden) -> None:
    golden("check-allow.txt", render_check(findings(make_decision(Verdict.ALLOW)), rules))


def test_what_could_not_be_judged_says_why_and_is_never_a_pass(
    make_decision: MakeDecision, rules: Rules, golden: Golden
) -> None:
    problem = Problem(
        rule="injection.untrusted_expansion", message="the rule took longer than 2 s", where="rule process",
        fix="ask again with --engine opa",
    )  # fmt: skip
    error = DocumentError("the key 'on' stands twice", where=".github/workflows/odd.yml:4:1", fix="remove one of them")
    found = Findings(
        (
            Judged(PATH, make_decision(Verdict.UNDECIDED, problems=(problem,)), WORKFLOW),
            Judged("notes.yml", make_decision(Verdict.NOT_EVALUATED, rules=(), governance="self"), b""),
        ),
        (Unreadable.of(".github/workflows/odd.yml", error),),
    )

    golden("check-undecided.txt", render_check(found, rules))


def test_nothing_found_is_not_evaluated(rules: Rules) -> None:
    text = render_check(Findings(()), rules)

    assert text == "not evaluated  No pipeline was found: nothing was judged, so nothing is allowed.\n"


def test_a_waived_violation_names_its_waiver_and_keeps_quiet(
    make_decision: MakeDecision, rules: Rules, unpinned: Violation
) -> None:
    waived = unpinned.model_copy(update={"effect": Effect.WAIVED, "waiver": "legacy-runner-2026"})

    text = render_check(findings(make_decision(Verdict.ALLOW, violations=(waived,))), rules)

    assert text.startswith("waived  dependencies.unpinned_component  high")
    assert "waiver legacy-runner-2026" in text
    assert "to do" not in text
    assert "1 waived" in text


def test_hostile_names_and_messages_do_nothing(make_decision: MakeDecision, rules: Rules, injection: Violation) -> None:
    evil = "\x1b]0;owned\x07 ::add-mask::x ##[set-env]y \u202e\nallow  1 pipeline may run."
    violation = injection.model_copy(
        update={"message": evil, "fix": evil, "related": (Related(message=evil),), "waiver": evil}
    )
    path = f"a{evil}.yml"

    text = render_check(Findings((Judged(path, make_decision(violations=(violation,)), evil.encode()),)), rules)

    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "##[" not in text
    assert not [line for line in text.splitlines() if line.lstrip().startswith(("::", "allow"))]


def test_long_text_is_wrapped(make_decision: MakeDecision, rules: Rules, injection: Violation) -> None:
    text = render_check(findings(make_decision(violations=(injection,))), rules, width=60)

    prose = [line for line in text.splitlines() if "|" not in line and not line.startswith("deny")]
    assert max(columns(line) for line in prose) <= 60


def test_style_adds_and_never_replaces_words(make_decision: MakeDecision, rules: Rules, injection: Violation) -> None:
    found = findings(make_decision(violations=(injection,)))

    styled = render_check(found, rules, style=lambda look, text: f"<{look}>{text}</{look}>")

    for look in ("bad", "strong", "place", "quiet"):
        assert f"<{look}>" in styled
        styled = styled.replace(f"<{look}>", "").replace(f"</{look}>", "")
    assert styled == render_check(found, rules)


@pytest.mark.parametrize(
    ("line", "column", "end_column", "marked"),
    [
        ("abcdef", 3, 5, "cd"),
        ("\tkey: value", 7, 12, "value"),
        ("日本: x", 1, 3, "日本"),
        ("a\x1bb: x", 2, 3, "\\x1b"),
        ("x" * 300 + "HERE" + "y" * 300, 301, 305, "HERE"),
        ("      deep: HERE", 13, 17, "HERE"),
    ],
)
def test_the_caret_stands_under_what_is_marked(line: str, column: int, end_column: int, marked: str) -> None:
    place = Place(file="f", line=2, column=column, end_line=2, end_column=end_column)

    source, caret = excerpt(f"first\n{line}\nlast".encode(), place, width=80, style=plain)

    start = columns(caret.rstrip("^"))
    head = next(index for index in range(len(source) + 1) if columns(source[:index]) == start)
    assert source[head:].startswith(marked)
    assert caret.count("^") == columns(marked)
    assert columns(source) <= 82


def test_yaml_and_excerpt_count_lines_alike() -> None:
    """A form feed is no line break in YAML and one for str.splitlines."""
    place = Place(file="f", line=2, column=1, end_line=2, end_column=4)

    assert excerpt(b"a\x0cb\nkey: 1\n", place, width=80, style=plain)[0] == "2 | key: 1"


def test_a_line_of_megabytes_is_cut_before_it_is_looked_at(
    make_decision: MakeDecision, rules: Rules, injection: Violation
) -> None:
    content = b"x" * 5_000_000 + b"HERE" + b"y" * 5_000_000
    place = Place(file=PATH, line=1, column=5_000_001, end_line=1, end_column=5_000_005)
    violation = injection.model_copy(update={"place": place, "message": "z " * 1_000_000})

    text = render_check(findings(make_decision(violations=(violation,) * 50), content), rules)

    assert len(text) < 200_000
    assert "HERE" in text


def test_a_place_beyond_the_file_has_no_excerpt() -> None:
    assert excerpt(b"one\n", Place(file="f", line=9, column=1, end_line=9, end_column=2), width=80, style=plain) == []


@pytest.mark.parametrize(
    ("verdicts", "unreadable", "worst"),
    [
        ([], 0, Verdict.NOT_EVALUATED),
        ([Verdict.ALLOW], 0, Verdict.ALLOW),
        ([Verdict.ALLOW, Verdict.NOT_EVALUATED], 0, Verdict.NOT_EVALUATED),
        ([Verdict.ALLOW, Verdict.DENY, Verdict.NOT_EVALUATED], 0, Verdict.DENY),
        ([Verdict.DENY, Verdict.UNDECIDED], 0, Verdict.UNDECIDED),
        ([Verdict.ALLOW], 1, Verdict.UNDECIDED),
        ([], 1, Verdict.UNDECIDED),
    ],
)
def test_the_worst_verdict_is_that_of_the_whole(
    make_decision: MakeDecision, verdicts: list[Verdict], unreadable: int, worst: Verdict
) -> None:
    files = tuple(Unreadable(str(number), "x", "y", "z") for number in range(unreadable))

    assert Findings(tuple(Judged("p", make_decision(verdict)) for verdict in verdicts), files).verdict is worst
