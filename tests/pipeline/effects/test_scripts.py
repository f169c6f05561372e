"""Commands looked at together, and hostile scripts."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyd.pipeline.effects import find_command_effects, find_script_effects
from policyd.pipeline.shell import split_script
from tests.pipeline.effects.said import effects

_WORDS = [
    "curl", "wget", "-o", "x", "https://a.b/c", "|", "sh", "bash", "-c", "eval", "$TITLE", '"$TOKEN"', ">>",
    "$GITHUB_ENV", "docker", "run", "-v", "/:/x", "pip", "install", "npm", "git", "clone", "-p", "env", "echo",
    "<<E\n", "E\n", ";", "\n", "||", "true", "$(", ")", "set", "+e", "go", "cargo", "chmod", "+x", "./x", "sed",
    "--", "=", "A=", "'", '"', "-", "kubectl", "apply", "python", "-m", "make",
]  # fmt: skip


@given(st.lists(st.sampled_from(_WORDS), max_size=25), st.sampled_from(["bash", "pwsh", "cmd", "python", ""]))
@settings(max_examples=300, deadline=None)
def test_any_script_has_effects_without_an_error(words: list[str], shell: str) -> None:
    for effect in effects(" ".join(words), shell):
        assert len(effect.detail) <= 200
        assert len(effect.text) <= 400


@pytest.mark.parametrize(
    "script",
    [
        "curl -o x https://a.b/c\n" * 5_000,
        "docker run alpine\n" * 5_000,
        "set +e; pytest\n" * 5_000,
        "echo $TOKEN | base64\n" * 5_000,
        "pip install " + "x " * 100_000,
        "python -c '" + "exec( print " * 50_000 + "'",
        "echo '" + "##vso[task.setvariable " * 20_000 + "'",
        "echo '" + "${{ secrets" * 50_000 + "'",
        "git config " + "http." * 100_000,
        "git clone ://" + "$" * 500_000,
        "bash '" + "sh -i " * 100_000 + "/dev/'",
        "curl " + "http://" * 100_000,
        "echo " + "a" * 1_000_000 + "://x",
        "echo '" + "deb [" * 100_000 + "trust'",
    ],
    ids=lambda script: script[:24].strip(),
)
def test_hostile_scripts_end_quickly(script: str) -> None:
    start = time.process_time()

    found = effects(script)

    assert time.process_time() - start < 10  # quadratic work takes minutes here
    assert len(found) < 60_000


def test_secrets_of_any_name_are_looked_for_as_they_are() -> None:
    commands = split_script("echo $TOKEN")

    assert find_script_effects(commands, secrets=frozenset(("A(", "TOKEN")))[0].reads_secrets == ["TOKEN"]


def test_a_command_alone_has_effects_too() -> None:
    (command,) = split_script('eval "$X"')

    assert [effect.untrusted for effect in find_command_effects(command, tainted=frozenset("X"))] == [True]


def test_variables_read_are_told_from_others() -> None:
    (one,) = find_script_effects(split_script('a "$T" $S $O'), tainted=frozenset("T"), secrets=frozenset("S"))

    assert (one.reads_untrusted, one.reads_secrets) == (["T"], ["S"])


def test_a_script_in_a_script_says_the_same_thing_once() -> None:
    assert [effect.kind for effect in effects('bash -c "$TITLE"')] == ["evaluates"]
