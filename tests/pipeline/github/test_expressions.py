from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyd.pipeline.github.conditions import checks_spoofable_actor
from policyd.pipeline.github.contexts import OUTSIDERS_TEXTS, find_text_events
from policyd.pipeline.github.expressions import (
    find_expressions,
    is_always_true,
    parse_expression,
    possible_texts,
)

TEXTS = [path for paths in OUTSIDERS_TEXTS.values() for path in paths]


def _yields_untrusted(text: str) -> bool:
    parsed = parse_expression(text)
    return any(map(find_text_events, parsed.flowing)) or any(find_text_events(one, whole=True) for one in parsed.whole)


@pytest.mark.parametrize(
    "text",
    [
        "github.event.issue.title",
        "GitHub.Event.Issue.Title",
        "github['event']['issue'].title",
        "github.event['pull_request']['head'].ref",
        "github.event.commits[0].message",
        "github.event.commits.*.message",
        "github.event.*.body",
        "github.head_ref || 'x'",
        "x && github.head_ref",
        "format('{0}', github.head_ref)",
        "toJSON(github.event)",
        "toJSON(github.event.commits)",
        "fromJSON(toJSON(github)).event.issue.title",
        "join(github.event.commits.*.message, ' ')",
        "(github.head_ref)",
        "an_unknown_function(github.head_ref)",
        "github.event.pages[0].page_name",
        "github.event.pull_request.head.repo.default_branch",
    ],
)
def test_expressions_that_an_outsiders_text_can_come_out_of(text: str) -> None:
    assert _yields_untrusted(text)


@pytest.mark.parametrize(
    "text",
    [
        "github.sha",
        "github.event.issue.number",
        "contains(github.event.issue.body, 'x')",
        "startsWith(github.head_ref, 'release/')",
        "github.head_ref == 'x'",
        "!github.head_ref",
        "github.head_ref && 'x'",
        "hashFiles(github.head_ref)",
        "contains(github.head_ref, 'x') && 'a' || 'b'",
        "secrets.TOKEN",
        "'github.head_ref'",
        "github.event.pull_request",
    ],
)
def test_expressions_whose_value_an_outsider_does_not_write(text: str) -> None:
    assert not _yields_untrusted(text)


def test_contexts_are_written_in_one_way() -> None:
    parsed = parse_expression("GITHUB['Event'].issue.Title == secrets[format('A_{0}', matrix.os)] || Env.Name")

    assert parsed.contexts == ("github.event.issue.title", "secrets.*", "matrix.os", "env.Name")


def test_what_cannot_be_read_counts_as_flowing() -> None:
    parsed = parse_expression("github.head_ref ???")

    assert parsed.root is None
    assert parsed.flowing == ("github.head_ref",)


@pytest.mark.parametrize("text", ["", "(a", "a b", "a ==", "'open", "a.", "a[", "1.2.3.4", "f(", "a,b", "${{"])
def test_what_github_refuses_has_no_root(text: str) -> None:
    assert parse_expression(text).root is None


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("a ${{ b }} c", [" b "]),
        ("${{ '}}' }}x", [" '}}' "]),
        ("${{ 'it''s }}' }}", [" 'it''s }}' "]),
        ("${{a}}${{b}}", ["a", "b"]),
        ("${{ open", [" open"]),
        ("${{ 'open }}", [" 'open }}"]),
        ("no $ { { }}", []),
    ],
)
def test_expressions_end_at_the_first_closing_mark_outside_a_literal(text: str, spans: list[str]) -> None:
    found = find_expressions(text)

    assert [span.inner for span in found] == spans
    assert all(text[span.start : span.end].startswith("${{") for span in found)


@pytest.mark.parametrize("text", ["x || 'b'", "github.ref == 'a' || 'b'", "!false && 1", "x || !''", "'a' == 'a'"])
def test_conditions_that_are_true_whatever_happens(text: str) -> None:
    root = parse_expression(text).root

    assert root is not None
    assert is_always_true(root)


@pytest.mark.parametrize("text", ["true", "always()", "x", "x && 'b'", "x || false", "x || ''", "github.ref == 'a'"])
def test_conditions_that_depend_on_something_or_say_so_themselves(text: str) -> None:
    root = parse_expression(text).root

    assert root is not None
    assert not is_always_true(root)


@pytest.mark.parametrize(
    ("text", "spoofable"),
    [
        ("github.actor == 'dependabot[bot]'", True),
        ("'renovate[bot]' == github.triggering_actor && x", True),
        ("x && (y || github['actor'] == 'Dependabot[Bot]')", True),
        ("github.actor_id == '49699333'", True),
        ("startsWith(github.actor, 'dependabot')", True),
        ("github.actor != 'dependabot[bot]'", False),
        ("github.event.pull_request.user.login == 'dependabot[bot]'", False),
        ("github.actor == 'octocat'", False),
    ],
)
def test_checks_of_a_bots_name_that_others_run_under(text: str, spoofable: bool) -> None:
    root = parse_expression(text).root

    assert root is not None
    assert checks_spoofable_actor(root) is spoofable


def test_every_context_of_the_list_is_untrusted_however_it_is_indexed() -> None:
    for path in (text.split(".") for text in TEXTS):
        assert _yields_untrusted(".".join(step if step != "*" else "x" for step in path))
        assert _yields_untrusted(
            path[0] + "".join("[0]" if step == "*" else f"['{step.upper()}']" for step in path[1:])
        )


@pytest.mark.parametrize("unit", ["(", "a.", "a[", "!", "a==", "a&&", "f(", "'", "-1", "||"])
def test_hostile_repetition_ends_quickly(unit: str) -> None:
    start = time.process_time()

    parse_expression(unit * 5_000)
    find_expressions("${{" + unit * 50_000)
    find_expressions(("${{" + unit) * 20_000)

    assert time.process_time() - start < 2


@given(st.text(st.sampled_from(list("ab.'[]()!=&|<>*,0-+ ${}")), max_size=40))
@settings(max_examples=400, deadline=None)
def test_any_text_is_parsed_or_not_and_never_raises(text: str) -> None:
    parse_expression(text)
    for span in find_expressions("${{" + text):
        parse_expression(span.inner)


@pytest.mark.parametrize(
    ("text", "constant", "computed", "ternary", "substring"),
    [
        ("'make'", True, False, False, False),
        ("format('{0}k', 'ma')", True, False, False, False),
        ("'${{'", False, False, False, False),
        ("true", False, False, False, False),
        ("fromJSON('[1]')", False, False, False, False),
        ("hashFiles('x')", False, False, False, False),
        ("secrets[matrix.name]", False, True, False, False),
        ("secrets['NAME']", False, False, False, False),
        ("a.b[0]", False, False, False, False),
        ("x && '' || 'y'", False, False, True, False),
        ("x && false || y", False, False, True, False),
        ("x && 'a' || 'y'", False, False, False, False),
        ("x && y || z", False, False, False, False),
        ("contains('refs/heads/main refs/heads/dev', github.ref)", False, False, False, True),
        ("contains(env.NAMES, github.actor)", False, False, False, True),
        ("contains(fromJSON('[\"a\"]'), github.actor)", False, False, False, False),
        ("contains(github.event.comment.body, '/x')", False, False, False, False),
        ("contains('abc', matrix.x)", False, False, False, True),
    ],
)
def test_expressions_that_mislead_are_told(
    text: str, constant: bool, computed: bool, ternary: bool, substring: bool
) -> None:
    parsed = parse_expression(text)

    assert (parsed.constant, parsed.computed) == (constant, computed)
    assert (parsed.ternary, parsed.substring) == (ternary, substring)


def test_functions_are_named_in_lower_case() -> None:
    assert parse_expression("ToJson(format('{0}', x))").functions == ("tojson", "format")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("'a'", ["a"]),
        ("x && 'a' || 'b'", ["a", "b"]),
        ('fromJSON(\'["a", "b"]\')', ["a", "b"]),
        ("x && fromJSON('[\"a\"]') || 'c'", ["a", "c"]),
        ("fromJSON('[')", []),
        ("x", []),
        ("''", []),
    ],
)
def test_texts_that_an_expression_can_yield_are_found(text: str, values: list[str]) -> None:
    root = parse_expression(text).root

    assert root is not None
    assert possible_texts(root) == values


@pytest.mark.parametrize(
    ("text", "always"),
    [
        ("github.ref != 'a' || github.ref != 'b'", True),
        ("github.ref != 'a' || github.actor == 'x' || github.ref != 'b'", True),
        ("github.ref != 'a' || github.ref != 'A'", False),
        ("github.ref != 'a' && github.ref != 'b'", False),
        ("github.ref != 'a' || github.base_ref != 'b'", False),
        ("github.ref == 'a' || github.ref == 'b'", False),
    ],
)
def test_one_of_two_inequalities_always_holds(text: str, always: bool) -> None:
    root = parse_expression(text).root

    assert root is not None
    assert is_always_true(root) is always
