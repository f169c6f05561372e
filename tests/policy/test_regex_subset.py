from __future__ import annotations

import pytest

from policyd.policy.regex_subset import find_regex_difference


@pytest.mark.parametrize(
    "pattern",
    [
        "^[a-z]+$",
        r"https?://[^/ ]+\.example\.(com|org)",
        "(?i)password",
        "(?:a|b)*?",
        "a{2,3}b{4}c{5,}",
        r"\$\{[A-Z_]*\}",
        "[^a-z&~-]",
        r"[\[\]\-]",
        r"\t\n",
        "",
    ],
)
def test_patterns_that_both_engines_read_alike_are_fine(pattern: str) -> None:
    assert find_regex_difference(pattern) is None


@pytest.mark.parametrize(
    "pattern",
    [
        r"\w", r"\d", r"\s", r"\b", r"\W", r"\pL", r"\x41", r"\Q", r"\<", "\\",
        r"[\w]", r"[\d.]", "[a&&b]", "[a--b]", "[a~~b]", "[[:alpha:]]", "[[]", "[]a]", "[^]a]", "[a", "[a\\",
        "a{,2}", "{", "a{1,2,3}", "a++", "a**", "a{2}{3}", "a+*",
        "(?x)a b", "(?P<n>a)", "(?=a)", "(?<=a)", "(?s).", "(?-i)a",
        "é",
    ],
)  # fmt: skip
def test_patterns_that_engines_read_differently_are_named(pattern: str) -> None:
    found = find_regex_difference(pattern)

    assert found is not None
    assert all(found)
