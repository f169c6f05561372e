"""The expression language: marks, contexts, and what of it can come out as the value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyd.pipeline.azure.expressions import find_marks, parse_expression, whole_template


def test_all_three_ways_to_put_in_a_value_are_found() -> None:
    text = "echo $(Build.Reason) ${{ parameters.a }} $(date +%s) $HOME"
    assert [(one.kind, one.inner.strip(), text[one.start : one.end]) for one in find_marks(text)] == [
        ("macro", "Build.Reason", "$(Build.Reason)"),
        ("template", "parameters.a", "${{ parameters.a }}"),
    ]
    assert [one.kind for one in find_marks(" $[ variables.a ] ")] == ["runtime"]


def test_a_closing_brace_in_a_literal_does_not_end_an_expression() -> None:
    (mark,) = find_marks("${{ format('}}{0}', parameters.a) }}x")
    assert (mark.inner.strip(), mark.end) == ("format('}}{0}', parameters.a)", 36)
    assert whole_template("${{ a.b }}") == " a.b "
    assert whole_template("${{ a.b }}/${{ a.c }}") is None
    assert whole_template("${{ a.b") is None


@pytest.mark.parametrize(
    ("text", "contexts"),
    [
        ("variables['Build.Reason']", ("variables.Build.Reason",)),
        ("variables.a", ("variables.a",)),
        ("dependencies.A.outputs['s.v']", ("dependencies.A.outputs.s.v",)),
        ("eq(parameters.a, 'it''s')", ("parameters.a",)),
        ("foo.*.id", ("foo.*.id",)),
    ],
)
def test_contexts_are_written_in_one_way(text: str, contexts: tuple[str, ...]) -> None:
    assert parse_expression(text).contexts == contexts


@pytest.mark.parametrize(
    ("text", "flows"),
    [
        ("format('{0}', variables.a)", True),
        ("lower(variables.a)", True),
        ("eq(variables.a, 'x')", False),
        ("and(eq(variables.a, 'x'), true)", False),
        ("iif(eq(variables.a, 'x'), 'y', 'z')", False),
        ("split(variables.a, ',')[0]", True),
        ("counter(variables.a, 0)", False),
    ],
)
def test_only_what_keeps_the_text_flows(text: str, flows: bool) -> None:
    assert bool(parse_expression(text).flowing) is flows


def test_what_cannot_be_read_counts_as_flowing() -> None:
    parsed = parse_expression("variables['Build.SourceVersionMessage'] && x")
    assert parsed.root is None
    assert parsed.contexts == ("variables.Build.SourceVersionMessage",)
    assert parsed.flowing[0].parts == ("variables", "Build.SourceVersionMessage")


def test_a_name_that_is_computed_is_said_to_be() -> None:
    assert parse_expression("variables[parameters.name]").computed


@given(st.text(alphabet="$({['}])abc.,* \n", max_size=60))
def test_any_text_can_be_read(text: str) -> None:
    end = 0
    for mark in find_marks(text):
        assert end <= mark.start < mark.end <= len(text)
        end = mark.end
        parse_expression(mark.inner)
    parse_expression(text)


def test_deep_and_long_expressions_end_soon() -> None:
    assert parse_expression("not(" * 5_000 + ")" * 5_000).root is None
    assert parse_expression("and(" + "true," * 3_999 + "true)").root is None
    assert len(find_marks("${{" * 20_000)) == 1
