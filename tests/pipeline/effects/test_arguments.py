"""An outsider's text where a program takes options, scripts or addresses from it."""

from __future__ import annotations

import pytest

from tests.pipeline.effects.said import details


@pytest.mark.parametrize(
    "script",
    [
        "find . -name $TITLE",
        'docker run --rm "$TITLE"',
        'git log --oneline "$TITLE"',
        'if [[ $TITLE =~ ^(.+)$ ]]; then sed -i "s/A/${BASH_REMATCH[1]}/" x; fi',
    ],
)
def test_a_word_that_may_be_an_option_or_a_script_is_seen(script: str) -> None:
    assert len(details("argument", script)) == 1


@pytest.mark.parametrize(
    "script",
    [
        'find . -name "$TITLE"',
        'git commit -m "$TITLE"',
        'X=$(grep -oE "[0-9a-f]{40}" <<< "$TITLE" | head -1); git checkout "$X"',
        'if [[ $TITLE =~ ^([0-9]+)$ ]]; then sed -i "s/A/${BASH_REMATCH[1]}/" x; fi',
    ],
)
def test_a_value_of_an_option_and_plain_characters_are_fine(script: str) -> None:
    assert details("argument", script) == []


@pytest.mark.parametrize(
    "script", ['wget -q "https://$TITLE/x"', 'curl --silent "$TITLE"', 'curl --retry 3 "https://$TITLE/"']
)
def test_an_address_behind_any_option_is_one(script: str) -> None:
    assert len(details("request", script)) == 1


@pytest.mark.parametrize(
    "script", ['curl -H "Referer: https://$TITLE/" https://a.example.com', "curl -o x https://a.example.com # $TITLE"]
)
def test_an_address_that_is_only_said_is_none(script: str) -> None:
    assert details("request", script) == []


def test_a_blank_in_a_text_without_quotes_begins_an_option() -> None:
    assert details("argument", "gradle build -Pname=$TITLE") == ["-Pname=$TITLE"]
    assert details("argument", 'gradle build "-Pname=$TITLE"') == []


def test_what_stands_behind_an_interpreters_file_is_no_option_of_it() -> None:
    assert details("argument", 'node scripts/notify.js "$TITLE"') == []
    assert details("argument", 'python3 tool.py "$TITLE"') == []
    assert details("argument", 'node "$TITLE"') == ["$TITLE"]
