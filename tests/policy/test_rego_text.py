from __future__ import annotations

import pytest

from policyd.errors import PolicyError
from policyd.policy.rego_text import (
    MAX_MODULE_BYTES,
    MAX_NESTING,
    find_data_references,
    find_tests,
    nesting,
    read_module,
    read_package,
)


def test_brackets_in_strings_and_comments_are_not_nesting() -> None:
    content = b'x := "[[[[" # [[[[\ny := `[[[[`\nz := [[1]]\n'

    assert nesting(content) == 2


def test_a_quote_in_a_comment_hides_nothing_after_it() -> None:
    assert nesting(b"# it's \"quoted\nx := [[[1]]]") == 3


def test_a_raw_string_may_hold_quotes() -> None:
    assert nesting(b'x := `"` + [[1]]') == 2


def test_closing_brackets_ahead_hide_nothing() -> None:
    assert nesting(b"]]]]]]]] [[[") == 3


def test_a_module_nested_too_deep_is_refused_before_a_parser_sees_it() -> None:
    content = b"package policyd.a.b\nx := " + b"[" * (MAX_NESTING + 1) + b"]" * (MAX_NESTING + 1)

    with pytest.raises(PolicyError, match="nested 13 deep") as refused:
        read_module("a.rego", content)

    assert refused.value.where == "a.rego"


def test_a_module_of_many_thousand_brackets_is_scanned_quickly_and_refused() -> None:
    with pytest.raises(PolicyError, match="nested"):
        read_module("a.rego", b"[" * 100_000)


def test_a_large_module_is_refused() -> None:
    with pytest.raises(PolicyError, match="bytes"):
        read_module("a.rego", b"#" * (MAX_MODULE_BYTES + 1))


@pytest.mark.parametrize("character", ["\x00", "\r", "\x0b", "\u2028", "\u202e", "\u200b", "\ufeff"])
def test_a_character_that_can_hide_code_is_refused_with_its_line(character: str) -> None:
    with pytest.raises(PolicyError, match="U\\+") as refused:
        read_module("a.rego", f"package policyd.a.b\n# x{character}y\n".encode())

    assert refused.value.where == "a.rego:2"


def test_windows_line_ends_are_read() -> None:
    assert read_module("a.rego", b"package policyd.a.b\r\n") == "package policyd.a.b\n"


def test_text_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(PolicyError, match="UTF-8"):
        read_module("a.rego", b"\xff")


def test_the_package_is_the_first_line_that_is_no_comment() -> None:
    assert read_package("a.rego", "# package policyd.x.y\n\npackage policyd.a.b # c\npackage policyd.e.f\n") == (
        "policyd.a.b",
        2,
    )


@pytest.mark.parametrize(
    "text",
    ['package policyd["a"]', "import rego.v1\npackage policyd.a.b", "package  policyd.a", "package policyd.A", "", "#"],
)
def test_a_package_written_in_an_unusual_way_is_refused(text: str) -> None:
    with pytest.raises(PolicyError):
        read_package("a.rego", text)


@pytest.mark.parametrize(
    ("code", "reached"),
    [
        ("import data.policyd.lib.shell", {("policyd", "lib", "shell")}),
        ("x := data.policyd.a[input.b].c", {("policyd", "a")}),
        ("x := data[y]", {()}),
        ("x := data", {()}),
        ("import data as d", {()}),
        ('x := data["policyd"]', {()}),
        ("x := input.data", set()),
        ("x := database", set()),
        ("x := my_data.foo", set()),
    ],
)
def test_references_to_data_are_found_or_count_as_reaching_all(code: str, reached: set[tuple[str, ...]]) -> None:
    assert find_data_references(f"# data\npackage policyd.a.b\n{code}\n", 1) == reached


def test_tests_are_found_by_name() -> None:
    assert find_tests("test_a if true\nhelper if true\n\ttest_b if true\ntest_c if {\n}\n") == ("test_a", "test_c")
