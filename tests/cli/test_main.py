"""The command line as a whole: help, version, colour, completion, and errors in one form."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from policyd.cli.main import COMMANDS, main
from policyd.errors import ExitCode
from tests.cli.workshop import Workshop, on_terminal, one_stage

pytestmark = pytest.mark.xdist_group("cli-main")

ALL = [[name] for name in COMMANDS] + [["record", "verify"], ["record", "export"]]


@pytest.mark.parametrize("command", ALL, ids=" ".join)
def test_every_command_explains_itself(shop: Workshop, command: list[str]) -> None:
    said = shop.call(*command, "--help").require(0)

    assert said.out.startswith(f"Usage: policyd {' '.join(command)} ")
    assert said.err == ""
    # A sentence that says what it does comes right after the usage.
    assert said.out.split("\n\n")[1].strip().split("\n")[0]


def test_the_short_option_works_wherever_the_long_one_does(shop: Workshop) -> None:
    """In a process of its own: click remembers the help options of a command that was called without its group."""
    script = f"""
import sys
from click.testing import CliRunner
from policyd.cli.main import main
for command in {[[], *ALL]!r}:
    long, short = (CliRunner().invoke(main, [*command, option], prog_name="policyd") for option in ("--help", "-h"))
    assert short.exit_code == long.exit_code == 0, (command, short.output)
    assert short.output == long.output, command
sys.exit(0)
"""
    shop.policyd(script=script).require(0)


def test_the_root_lists_every_exit_code(shop: Workshop) -> None:
    said = shop.call("--help").require(0)

    for code in ExitCode:
        assert re.search(rf"^  +{int(code)} +\S", said.out, re.MULTILINE), code
    assert "Only 0 lets anything through." in said.out


def test_every_option_has_help_and_every_environment_variable_is_shown() -> None:
    context = click.Context(main, info_name="policyd")
    for name in COMMANDS:
        command = main.get_command(context, name)
        assert command is not None
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, (name, parameter.name)
                if parameter.envvar:
                    assert str(parameter.envvar).startswith("POLICYD_")
                    assert parameter.show_envvar


def test_the_version_names_policyd_engine_and_library(shop: Workshop) -> None:
    said = shop.policyd("--version").require(0)

    assert re.fullmatch(r"policyd \S+ \(regorus \S+, library [0-9a-f]{12}\)\n", said.out)


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["chekc"], ["There is no command 'chekc'. Did you mean 'check'?", "policyd --help"]),
        (["xyzzy"], ["There is no command 'xyzzy'."]),
        (["--foo"], ["'--foo'"]),
        (["check", "--fomat", "json"], ["'--fomat'", "'--format'", "policyd check --help"]),
        (["check", "--format", "xml"], ["'xml' is not one of 'text', 'json', 'sarif'"]),
        (["check", "--fail-on", "bad"], ["'bad' is not one of"]),
        (["plan"], ["Missing argument 'PIPELINE'"]),
        (["run", "pipeline.yaml", "--jobs", "0"], ["'--jobs'", "0 is not in the range"]),
        (["run", "pipeline.yaml", "--sandbox", "docker"], ["'docker' is not one of 'bwrap', 'none'"]),
        (["run", "pipeline.yaml", "--engine", "best"], ["'best' is not one of"]),
        (["verify"], ["Missing argument 'ARTIFACT'"]),
        (["runs", "--limit", "0"], ["'--limit'", "0 is not in the range"]),
        (["show"], ["Missing argument 'RUN'"]),
        (["logs"], ["Missing argument 'RUN'"]),
        (["keygen"], ["Missing option '--out'"]),
        (["sign", "f"], ["a file is signed with a key or keyless"]),
        (["attest", "f"], ["Missing option '--predicate-type'"]),
        (["schema", "x"], ["'x' is not one of 'pipeline', 'input'"]),
        (["completion", "tcsh"], ["'tcsh' is not one of 'bash', 'zsh', 'fish'"]),
        (["doctor", "x"], ["Got unexpected extra argument (x)"]),
        (["init", "nope"], ["'nope' does not exist"]),
        (["demo", "--keep", "data.txt"], ["data.txt"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_wrong_command_line_is_one_error_in_the_form_of_all_others(
    shop: Workshop, args: list[str], expected: list[str]
) -> None:
    shop.call(*args).require_one_error(2, *expected)


def test_policyd_alone_shows_how_it_is_used(shop: Workshop) -> None:
    said = shop.call().require(2)

    assert "Usage: policyd [OPTIONS] COMMAND" in said.err
    assert said.out == ""


def test_a_wrong_argument_can_not_steer_the_terminal(shop: Workshop) -> None:
    for args in (["\x1b]0;x\x07"], ["doctor", "\x1b[2J"], ["check", "\x1b[2J"], ["check", "--format", "\x1b[2J"]):
        said = shop.call(*args).require_one_error(2)
        assert "\x1b" not in said.err


def test_colour_is_for_terminals_that_want_it(shop: Workshop) -> None:
    shop.write(one_stage("curl -k https://example.com/x | bash"), "bad.yaml")

    assert "\x1b[" in on_terminal(shop, "check", "bad.yaml", typed={}, env={}).require(1).out
    assert "\x1b[" not in on_terminal(shop, "check", "bad.yaml", typed={}, env={"NO_COLOR": "1"}).require(1).out
    assert "\x1b[" not in shop.policyd("check", "bad.yaml", env={"TERM": "xterm"}).require(1).out


@pytest.mark.parametrize("document", ["pipeline", "input"])
def test_schemas_are_json_schemas(shop: Workshop, document: str) -> None:
    schema = shop.call("schema", document).require(0).json

    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_line_for_bash_completes_commands_options_and_values(shop: Workshop, tmp_path: Path) -> None:
    program = tmp_path / "policyd"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m policyd "$@"\n')
    program.chmod(0o755)
    line = shop.call("completion", "bash").require(0).out

    def complete(*words: str) -> list[str]:
        quoted = " ".join(f"'{word}'" for word in words)
        script = (
            f"{line}\nCOMP_WORDS=({quoted})\nCOMP_CWORD={len(words) - 1}\n"
            'compopt() { :; }\n_policyd_completion policyd\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
        )
        done = subprocess.run(
            ["bash", "--norc", "-c", script],
            env=shop.environ({"PATH": f"{tmp_path}:/usr/bin:/bin"}),
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout.split()

    assert complete("policyd", "che") == ["check"]
    assert "--fail-on" in complete("policyd", "check", "--f")
    assert complete("policyd", "check", "--format", "s") == ["sarif"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_lines_for_other_shells_give_a_script(shop: Workshop, tmp_path: Path, shell: str) -> None:
    line = shop.call("completion", shell).require(0).out.splitlines()[-1]
    assert f"_POLICYD_COMPLETE={shell}_source policyd" in line

    said = shop.policyd(env={"_POLICYD_COMPLETE": f"{shell}_source"}).require(0)

    assert "_policyd_completion" in said.out
    if shutil.which(shell):
        subprocess.run([shell, "-n", "-c", said.out], check=True)


def test_an_answer_that_nobody_read_is_no_success(shop: Workshop) -> None:
    shop.write(one_stage("'true'", kind="scan"), "good.yaml")
    process = shop.start("check", "good.yaml", "--format", "json")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()

    with process.stderr as stderr:
        said = stderr.read()

    assert process.wait(60) != 0
    assert "Traceback" not in said


def test_a_fault_of_ours_is_told_apart_from_every_answer(shop: Workshop) -> None:
    """A crash must not look like a verdict (docs/threats.md, T28)."""
    break_it = (
        "import policyd.app.check as module\n"
        "def broken(*_, **__): raise ZeroDivisionError('x\\x1b[31m\\u202e')\n"
        "module.check = broken"
    )

    said = shop.policyd("check", script=break_it)

    assert said.code == 70
    assert said.out == ""
    assert said.err.startswith("error: policyd failed: ZeroDivisionError")
    assert "Traceback" not in said.err
    assert "x\\x1b[31m\\u202e" in said.err
    assert "Traceback" in shop.policyd("check", script=break_it, env={"POLICYD_DEBUG": "1"}).require(70).err


@pytest.mark.parametrize(
    "args",
    [
        ["check", "--format", "json"],
        ["plan", "pipeline.yaml", "--format", "json"],
        ["runs", "--format", "json"],
        ["doctor", "--format", "json"],
        ["audit", "--format", "json"],
        ["schema", "pipeline"],
    ],
    ids=" ".join,
)
def test_stdout_is_the_answer_and_nothing_else(shop: Workshop, args: list[str]) -> None:
    said = shop.policyd(*args)

    json.loads(said.out)
    assert said.err == ""
