from __future__ import annotations

from policyd.models.decision import Gate, Level, Severity
from policyd.policy.catalogue import RuleMeta
from policyd.report.rule_pages import render_pages, split_description


def rule(description: str = "Why it matters. Not seen: other things.", title: str = "Nothing is red") -> RuleMeta:
    return RuleMeta(
        id="colours.red",
        title=title,
        description=description,
        severity=Severity.HIGH,
        gate=Gate.PIPELINE,
        level=Level.SOFT,
        controls=("X-1",),
        remediation="Paint it.",
        package="policyd.colours.red",
        path="colours/red/red.rego",
    )


def page(made: RuleMeta, examples: dict[str, str] | None = None) -> str:
    pages = render_pages(
        {made.id: made}, {made.id: ["things"]}, {"baseline": [made.id]}, {made.id: examples or {}}, name="tests"
    )
    assert set(pages) == {"README.md", "colours.red.md"}
    return pages["colours.red.md"]


def test_a_description_is_told_apart() -> None:
    assert split_description("Red hides. Seen are walls; not seen are floors. Paint dries.") == (
        "Red hides. Paint dries.",
        "Seen are walls.",
        "Not seen are floors.",
    )
    assert split_description("Red hides.") == ("Red hides.", "", "")


def test_a_page_says_what_the_rule_is_and_shows_its_examples() -> None:
    text = page(rule(), {"bad.yml": "colour: red\n", "good.yml": "colour: blue\n"})

    for part in (
        "# colours.red",
        "Why it matters.",
        "Not seen: other things.",
        "Paint it.",
        "`input.things`",
        "baseline",
    ):
        assert part in text
    assert text.index("colour: red") < text.index("## Fine") < text.index("colour: blue")


def test_an_example_can_not_leave_its_block() -> None:
    text = page(rule(), {"bad.yml": "a: |\n  ```\n  # not a heading\n"})

    assert "````yaml\na: |\n  ```\n" in text


def test_text_of_a_rule_opens_no_tag_no_link_and_hides_nothing() -> None:
    text = page(rule("Say <script> and [a](http://x.example) and \u202e, but `<KEY>` stays.", title="A | <b>"))

    assert "\\<script>" in text
    assert "\\[a](http" in text
    assert "`<KEY>`" in text
    assert "\u202e" not in text
