"""What scripts hand on, and how long it takes to find out."""

from __future__ import annotations

import time

import pytest

from policyd.pipeline.github.written import find_written, find_written_by_javascript


def _written(script: str) -> list[tuple[str, str, str]]:
    return [(one.target, one.name, script[one.start : one.end]) for one in find_written(script)]


def test_assignments_end_with_their_quotes_brackets_or_line() -> None:
    script = 'A="x y"; B=$(cmd (a) |\n  more)\nexport C=1\nif [ x = y ]; then D=2; fi\nlocal -r E=3\n'

    assert _written(script) == [
        ("local", "A", '"x y"'),
        ("local", "B", "$(cmd (a) |\n  more)"),
        ("local", "C", "1"),
        ("local", "D", "2; fi"),
        ("local", "E", "3"),
    ]


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ('echo "a=$X" >> $GITHUB_OUTPUT', [("output", "a")]),
        ('echo "a=$X" >> $GITHUB_ENV', [("environment", "a")]),
        ("echo a=1", []),
        ("echo ::set-env name=a::b", [("environment", "a")]),
        ("cat x >> $GITHUB_ENV", [("environment", "*")]),
        ("jq -r '.x' f | tee -a $GITHUB_OUTPUT", [("output", "*")]),
        ("echo 'a<<END' >> $GITHUB_OUTPUT\ncat x\necho END", [("output", "a")]),
        ('echo "a=1" | Out-File -FilePath $env:GITHUB_OUTPUT -Append', [("output", "a")]),
        ("if [ \"$a\" == 'x=y' ]; then echo; fi # $GITHUB_OUTPUT", []),
    ],
)
def test_what_goes_to_later_steps_is_found(script: str, found: list[tuple[str, str]]) -> None:
    assert [(target, name) for target, name, _ in _written(script) if target != "local"] == found


@pytest.mark.parametrize(
    "unit",
    [
        "echo a=b",
        "core.setOutput('a',",
        "a<<EOF GITHUB_OUTPUT ",
        "A=$(",
        "A='",
        ">> ",
        "cat x >> ",
        "Out-File ",
        "return (",
        "::set-output name=a::",
    ],
)
@pytest.mark.parametrize("end", ["\n", " "])
def test_hostile_repetition_ends_quickly(unit: str, end: str) -> None:
    script = "GITHUB_OUTPUT" + end + (unit + end) * 20_000
    start = time.process_time()

    find_written(script)
    find_written_by_javascript(script)

    assert time.process_time() - start < 5


def test_what_read_and_for_take_is_an_assignment() -> None:
    script = 'read -r a b <<< "$X"\nfor one in $Y; do echo; done\n'

    assert _written(script) == [("local", "a", '"$X"'), ("local", "b", '"$X"'), ("local", "one", "$Y")]


def test_a_substitution_in_quotes_ends_with_its_bracket() -> None:
    assert _written('P="$(gh pr view "$N" --json a)"\n') == [("local", "P", '"$(gh pr view "$N" --json a)')]


@pytest.mark.parametrize(("delimiter", "enclosed"), [("$(uuidgen)", True), ("END", False)])
def test_a_value_between_lines_that_nobody_foresees_is_enclosed(delimiter: str, enclosed: bool) -> None:
    script = (
        f'D={delimiter}\necho "x<<$D" >> $GITHUB_OUTPUT\necho "$T" >> $GITHUB_OUTPUT\necho "$D" >> $GITHUB_OUTPUT\n'
    )

    assert {one.enclosed for one in find_written(script) if one.name == "x"} == {enclosed}
