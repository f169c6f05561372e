from __future__ import annotations

from typing import Any

import pytest

from policyd.models.decision import Decision, Effect, EngineRef, Gate, Level, Place, Severity, Verdict, Violation
from policyd.models.plan import PolicySetRef
from policyd.policy.ignoring import Ignored, apply_comments, find_comments

FILE = b"""\
# policyd: ignore[a.b] the vendor signs it
# and more words

line: 4
other: 5  # policyd: ignore[a.b, c.d] mirrored inside
"""


def _violation(line: int, rule: str = "a.b", **more: Any) -> Violation:
    fields: dict[str, Any] = {
        "rule": rule,
        "message": "m",
        "at": ("document",),
        "place": Place(file="p.yml", line=line, column=1, end_line=line, end_column=2),
        "effect": Effect.DENY,
        "level": Level.SOFT,
        "severity": Severity.HIGH,
    }
    return Violation(**{**fields, **more})


def _apply(content: bytes, *violations: Violation, allowed: bool = True) -> Ignored:
    decision = Decision(
        gate=Gate.PIPELINE,
        verdict=Verdict.DENY,
        subject="p.yml",
        policy_set=PolicySetRef(name="s", sha256="0" * 64),
        engine=EngineRef(name="e", version="1"),
        input_sha256="0" * 64,
        rules=("a.b", "c.d"),
        violations=violations,
        governance="self",
        decided_at="2026-01-01T00:00:00Z",
    )
    return apply_comments(decision, content, "p.yml", known_rules={"a.b", "c.d"}, allowed=allowed)


def test_a_comment_speaks_of_its_line_or_of_the_next_one_that_says_something() -> None:
    first, second = find_comments(FILE)

    assert (first.line, first.rules, first.reason) == (4, ("a.b",), "the vendor signs it")
    assert (second.line, second.rules, second.reason) == (5, ("a.b", "c.d"), "mirrored inside")


def test_only_the_rules_named_on_the_line_meant_are_lifted() -> None:
    ignored = _apply(FILE, _violation(4), _violation(4, "c.d"), _violation(5, "c.d"), _violation(3))

    assert ignored.reasons == {0: "the vendor signs it", 2: "mirrored inside"}


@pytest.mark.parametrize(
    ("comment", "said"),
    [
        ("ignore[] why", "names no rule"),
        ("ignore[a.b]", "no reason"),
        ("ignore[a.b]   ", "no reason"),
        ("ignore[a.c] why", "no rule 'a.c'"),
        ("ignore[*] why", "no rule '*'"),
    ],
)
def test_a_comment_without_rule_or_reason_lifts_nothing(comment: str, said: str) -> None:
    ignored = _apply(f"x: 1 # policyd: {comment}\n".encode(), _violation(1))

    assert ignored.reasons == {}
    assert said in ignored.notes[0]


def test_a_hard_rule_stays() -> None:
    ignored = _apply(b"x: 1 # policyd: ignore[a.b] why\n", _violation(1, level=Level.HARD))

    assert ignored.reasons == {}
    assert "hard" in ignored.notes[0]


def test_a_comment_that_lifts_nothing_is_said() -> None:
    assert "finds nothing" in _apply(b"x: 1 # policyd: ignore[a.b] why\n", _violation(2)).notes[0]


def test_where_settings_forbid_comments_none_acts() -> None:
    ignored = _apply(FILE, _violation(4), allowed=False)

    assert ignored.reasons == {}
    assert len(ignored.notes) == 2


def test_a_finding_in_another_file_is_not_lifted() -> None:
    elsewhere = Place(file="q.yml", line=4, column=1, end_line=4, end_column=2)

    assert _apply(FILE, _violation(4, place=elsewhere)).reasons == {}


def test_any_bytes_are_read() -> None:
    assert find_comments(b"\xff\xfe\0 # policyd: ignore[a.b] x\r# policyd: ignore[") != ()
