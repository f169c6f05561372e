"""Nothing foreign text holds moves a cursor, hides, reorders, or gives a command."""

from __future__ import annotations

import json
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyd.report.json_text import render_json
from policyd.report.layout import wrap
from policyd.report.text import MAX_LINE_CHARACTERS, columns, pieces, show, show_lines, stage_line

HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
#: What a terminal or CI system would obey, over-represented so that random text meets it.
NASTY = st.sampled_from(
    [
        *("\x1b[2J", "\x9b31m", "\r", "\n", "\x00", "\x7f", "\u202e", "\u2066", "\u200b", "\u2028", "\U000e0041"),
        *("::", ":", "#", "##", "##[", "##vso[", " ", "\t", "\u3000", "\xa0", "add-mask", "]", "\udc80", "\u0301" * 9),
    ]
)
TEXTS = st.lists(st.one_of(NASTY, st.text(max_size=8)), max_size=12).map("".join)


def is_obeyed(line: str) -> bool:
    """What GitHub (ActionCommand.cs), Azure and TeamCity take as a command."""
    return line.lstrip().startswith("::") or re.search(r"##[A-Za-z]*\[", line) is not None


@given(TEXTS)
def test_no_text_shows_anything_hidden(text: str) -> None:
    shown = show(text)

    assert not [character for character in shown if unicodedata.category(character) in HIDDEN]
    assert not [character for character in shown if unicodedata.category(character) == "Zs" and character != " "]
    shown.encode("utf-8")


@given(TEXTS, st.integers(min_value=0, max_value=60))
def test_no_text_is_a_command_to_an_outer_ci_even_when_wrapped(text: str, width: int) -> None:
    assert not is_obeyed(show(text))
    assert not is_obeyed(show(text, width=width))
    assert not [line for line in wrap(show(text), width=width) if is_obeyed(line)]
    assert not [line for line in show_lines(text) if is_obeyed(line)]


@given(st.binary(max_size=80))
def test_no_stage_output_is_a_command_or_leaves_its_line(line: bytes) -> None:
    shown = stage_line("build", line)

    assert shown.startswith("build | ")
    assert not is_obeyed(shown)
    assert not [character for character in shown if unicodedata.category(character) in HIDDEN]


@given(TEXTS)
def test_pieces_are_what_is_shown_one_for_each_character(text: str) -> None:
    assert len(pieces(text)) == len(text)
    assert "".join(pieces(text)) == show(text)


@given(TEXTS, st.integers(min_value=0, max_value=40))
def test_a_width_is_kept(text: str, width: int) -> None:
    assert columns(show(text, width=width)) <= width


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, std::vector, ## heading", "plain text, std::vector, ## heading"),
        ("é 日本 🚀 Ж", "é 日本 🚀 Ж"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("user\u202egnp.exe", "user\\u202egnp.exe"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("raw\udc80", "raw\\udc80"),
        ("no\xa0break", "no\\xa0break"),
        ("\u3164", "\\u3164"),
        ("::set-env name=a::b", "\\x3a:set-env name=a::b"),
        ("x ##[add-mask]y", "x \\x23#[add-mask]y"),
        ("[bold]markup[/bold] stays", "[bold]markup[/bold] stays"),
    ],
)
def test_show(text: str, shown: str) -> None:
    assert show(text) == shown


def test_a_command_in_the_middle_of_stage_output_is_broken_too() -> None:
    """GitHub finds `##[` anywhere in a line: the prefix alone would not do."""
    assert stage_line("build", b"done ##[add-mask]x\n") == "build | done \\x23#[add-mask]x"


def test_gitlab_sections_lose_the_characters_that_make_them_work() -> None:
    assert stage_line("b", b"section_start:1:x\r\x1b[0Khidden") == "b | section_start:1:x\\r\\x1b[0Khidden"


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert stage_line("b", b"\xff\xfeok") == "b | \ufffd\ufffdok"


def test_an_endless_line_is_cut_and_says_so() -> None:
    shown = stage_line("b", b"x" * 1_000_000)

    assert len(shown) < MAX_LINE_CHARACTERS + 100
    assert shown.endswith("… (1000000 characters)")


def test_piled_up_marks_stay_on_their_line() -> None:
    assert show("e" + "\u0301" * 50).count("\\u0301") == 46


def test_lines_stay_lines_where_they_are_asked_for() -> None:
    assert show_lines("a\r\nb\x1b\n") == ["a", "b\\x1b", ""]


@given(TEXTS)
def test_json_is_ascii_no_command_and_reads_back(text: str) -> None:
    written = render_json({"text": text, "list": [text]})

    assert written.isascii()
    assert written.replace("\n", "").isprintable()
    assert not [line for line in written.splitlines() if is_obeyed(line)]
    assert json.loads(written) == {"text": text, "list": [text]}
