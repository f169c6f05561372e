"""What functions of a script are handed."""

from __future__ import annotations

import pytest

from tests.pipeline.effects.said import details, effects


@pytest.mark.parametrize(
    "script",
    [
        'put() { echo "$1=$2" >> "$GITHUB_ENV"; }\nput A "$TITLE"',
        'put() { local text="$1"; echo "A=$text" >> "$GITHUB_ENV"; }\nput "$TITLE"',
        'put() { echo "A=$*" >> "$GITHUB_ENV"; }\nX=$(echo "$TITLE" | head -1)\nput "$X"',
    ],
)
def test_an_outsiders_text_is_followed_into_a_function(script: str) -> None:
    assert [e.untrusted for e in effects(script) if e.kind == "environment-write"] == [True]


@pytest.mark.parametrize(
    "script",
    [
        'put() { echo "$1=$2" >> "$GITHUB_ENV"; }\nput A b',
        'put() { echo "A=$1" >> "$GITHUB_ENV"; }\nput b "$TITLE"',
        'put() { echo "A=$1" >> "$GITHUB_ENV"; }\nother "$TITLE"\nput b',
        'ask() { echo "$1" > /dev/null; }\nask "$TITLE"\necho "A=$1" >> "$GITHUB_ENV"',
    ],
)
def test_what_holds_nothing_of_it_is_fine(script: str) -> None:
    assert [e.untrusted for e in effects(script) if e.kind == "environment-write"] == [False]


def test_a_secret_is_followed_into_a_function() -> None:
    assert details("secret-print", 'log() { echo "[$(date)] $1"; }\nlog "$TOKEN"') == ["1"]
    assert details("secret-print", 'log() { echo "[$(date)] $1"; }\nlog done') == []


def test_text_of_a_parameter_is_run_only_where_it_is_an_outsiders() -> None:
    assert [e.untrusted for e in effects('run() { eval "$@"; }\nrun "$TITLE"') if e.kind == "evaluates"] == [True]
    assert details("evaluates", 'run() { eval "$@"; }\nrun make all') == []
