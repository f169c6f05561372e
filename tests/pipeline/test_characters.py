from __future__ import annotations

import pytest

from policyd.pipeline.characters import describe_character, find_hidden_character, quoted


@pytest.mark.parametrize(
    "code", [0x00, 0x1B, 0x7F, 0x85, 0xAD, 0x61C, 0x200B, 0x200E, 0x202E, 0x2066, 0x2028, 0xFEFF, 0xE0041]
)
def test_characters_that_hide_are_found(code: int) -> None:
    assert find_hidden_character("ab" + chr(code) + "c") == 2


def test_ordinary_text_of_any_script_is_not_hidden() -> None:
    assert find_hidden_character("Grüße, 世界, שלום, ✔️\t\r\n") is None


def test_a_character_is_named_in_ascii() -> None:
    assert describe_character("\u202e") == "U+202E RIGHT-TO-LEFT OVERRIDE"
    assert describe_character("\x1b") == "U+001B control character"


def test_foreign_values_are_quoted_on_one_ascii_line() -> None:
    assert quoted("a\nb\x1b\u202e") == "'a\\nb\\x1b\\u202e'"
    assert len(quoted("x" * 1000)) < 70
    values: list[object] = [None, True, 1.5, {}, []]
    assert [quoted(value) for value in values] == ["nothing", "true", "1.5", "a mapping", "a list"]
