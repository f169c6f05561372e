from __future__ import annotations

import json
from typing import Any

from policyd.models.decision import Effect, Gate, Level, Place, Problem, Severity, Verdict, Violation
from policyd.policy.changes import Change, Judgements, Unjudged
from policyd.report.policy_changes import render_changes_json, render_changes_markdown, render_changes_text

DIGEST = "c" * 64
HOSTILE = "\x1b[2J<img src=x> `@team` ::error::x ##[group]x\nnew line"


def broken(message: str = "door is red", **more: Any) -> Violation:
    values = {"effect": Effect.DENY, "level": Level.SOFT, "severity": Severity.HIGH, **more}
    place = Place(file="ci.yml", line=3, column=7, end_line=3, end_column=9)
    return Violation(rule="colours.red", message=message, at=("things", 0), place=place, **values)


def change(old: Verdict, new: Verdict, subject: str = "ci.yml", **more: Any) -> Change:
    return Change(subject, Gate.PIPELINE, subject, old, new, **more)


def judged(*changes: Change, more: int = 0, unjudged: tuple[Unjudged, ...] = ()) -> Judgements:
    return Judgements(len(changes) + more, list(changes), list(unjudged))


LOOSER = change(Verdict.DENY, Verdict.ALLOW, "loose.yml", gone=(broken(),))
STRICTER = change(Verdict.ALLOW, Verdict.DENY, "strict.yml", come=(broken(),))
UNDECIDED = change(
    Verdict.ALLOW, Verdict.UNDECIDED, "doubt.yml", problems=(Problem(message="the rule failed", where="red.rego"),)
)
SAME = change(
    Verdict.DENY,
    Verdict.DENY,
    "same.yml",
    weighed=((broken(), broken(effect=Effect.WARN, level=Level.ADVISORY, severity=Severity.LOW)),),
)


def test_what_lets_more_through_stands_first() -> None:
    text = render_changes_text(judged(SAME, STRICTER, UNDECIDED, LOOSER, more=6))

    heads = [line.split()[0] for line in text.splitlines() if ".yml  " in line and not line.startswith(" ")]
    assert heads == ["looser", "undecided", "stricter", "same"]
    assert "looser  loose.yml  deny → allow" in text
    assert "  - deny  colours.red  ci.yml:3:7" in text
    assert "level soft → advisory, severity high → low: door is red" in text
    assert text.endswith(
        "undecided  Of 10 decisions, 3 change their verdict (1 looser, 1 undecided, 1 stricter) and 1 keep it\n"
        "           but differ. 1 decision can't be decided.\n"
    )


def test_decisions_that_changed_alike_are_one_entry() -> None:
    alike = [
        change(Verdict.ALLOW, Verdict.DENY, come=(broken(),), decided_at=f"2026-12-0{day}T00:00:00.000000Z")
        for day in (1, 2, 3)
    ]

    text = render_changes_text(judged(*alike))

    assert text.count("door is red") == 1
    assert "3 decisions, the last: gate pipeline, decided 2026-12-03T00:00:00Z" in text
    assert "+3  colours.red" in text


def test_nothing_changed_says_how_many_were_judged() -> None:
    assert render_changes_text(judged(more=2)) == "unchanged  2 decisions judged: nothing changes.\n"
    assert "the bytes that were signed" in render_changes_text(judged(more=2), same=True)


def test_nothing_judged_is_not_called_unchanged() -> None:
    assert render_changes_text(judged()).startswith("not evaluated  No decision was found")


def test_what_could_not_be_judged_is_named_with_what_to_do() -> None:
    one = Unjudged(DIGEST, "build", "the store has no object", "content/aa", "put it back")

    text = render_changes_text(judged(more=1, unjudged=(one,)))

    assert (
        "not judged  build  cccccccccccc\n  the store has no object\n  where: content/aa\n  to do: put it back" in text
    )
    assert "undecided  1 decision judged: nothing changes. 1 decision could not be judged." in text


def test_a_replay_that_is_not_the_same_names_the_fields() -> None:
    differing = change(Verdict.ALLOW, Verdict.ALLOW, fields=("engine", "rules"))

    assert "not the bytes that were signed: `engine`, `rules` differ" in render_changes_text(judged(differing))
    assert "`engine`, `rules` differ" in render_changes_markdown(judged(differing))


def test_markdown_holds_foreign_text_in_code_spans_alone() -> None:
    hostile = change(Verdict.ALLOW, Verdict.DENY, HOSTILE, come=(broken(HOSTILE),))

    markdown = render_changes_markdown(judged(hostile, unjudged=(Unjudged("x", HOSTILE, HOSTILE, HOSTILE, ""),)))

    assert "\x1b" not in markdown
    for line in markdown.splitlines():
        if "img" in line:
            # The fence is longer than any run of backticks in the text, so nothing inside ends the span.
            outside = "".join(line.split("``")[0::2])
            assert "<" not in outside
            assert "@" not in outside
    assert "::error" not in markdown
    assert "##[" not in markdown


def test_a_comment_stays_short_enough_for_a_pull_request() -> None:
    long = broken("\U000e0001" * 5000)
    many = [change(Verdict.ALLOW, Verdict.DENY, f"{number}.yml", come=(long,) * 100) for number in range(500)]
    unjudged = tuple(Unjudged(str(number), "build", "x" * 5000, "y" * 5000, "") for number in range(500))

    markdown = render_changes_markdown(judged(*many, unjudged=unjudged))

    assert len(markdown) < 65_536
    assert "  - and 80 more" in markdown
    assert "more; `--format json` lists all" in markdown
    assert "- and 500 more" in markdown


def test_json_holds_everything_and_is_safe_to_print() -> None:
    hostile = change(Verdict.ALLOW, Verdict.DENY, HOSTILE, come=(broken(HOSTILE),), fields=("rules",))

    text = render_changes_json(judged(hostile, SAME), exit_code=1)

    document = json.loads(text)
    assert text.isascii()
    assert "\x1b" not in text
    assert document["schema"] == "policyd.policy-changes/v1"
    assert document["judged"] == 2
    assert document["changes"][0]["come"][0]["message"] == HOSTILE
    assert document["changes"][0]["differing_fields"] == ["rules"]
    assert document["changes"][1]["weighed"][0]["new"]["effect"] == "warn"
    assert document["rules"] == {"colours.red": {"come": 1, "gone": 0, "weighed": 1}}
