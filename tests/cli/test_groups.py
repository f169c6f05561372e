"""Help of groups: every command, with all that its first sentence says."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from policyd.cli.groups import CommandGroup
from policyd.cli.main import COMMANDS, SECTIONS, main

GROUPS = ("evidence", "key", "policy", "record", "trust", "waiver")


@pytest.mark.parametrize("name", ["", *GROUPS])
def test_no_description_is_cut(name: str) -> None:
    said = CliRunner().invoke(main, [*name.split(), "--help"], prog_name="policyd")

    assert said.exit_code == 0
    assert "..." not in said.output.replace("COMMAND [ARGS]...", "")


def test_the_root_names_each_command_once_below_a_heading() -> None:
    said = CliRunner().invoke(main, ["--help"], prog_name="policyd").output

    assert len(set(COMMANDS)) == len(COMMANDS)
    for heading, names in SECTIONS.items():
        below = said.partition(f"\n{heading}:\n")[2].partition("\n\n")[0]
        assert [line.split()[0] for line in below.splitlines() if line[2] != " "] == names


def test_every_group_lists_its_commands_alike() -> None:
    context = click.Context(main)

    assert all(isinstance(main.get_command(context, name), CommandGroup) for name in GROUPS)


def test_a_hidden_command_stays_hidden() -> None:
    group = CommandGroup("g", commands=[click.Command("seen", help="Be seen."), click.Command("unseen", hidden=True)])

    said = CliRunner().invoke(group, ["--help"]).output

    assert "seen  Be seen." in said
    assert "unseen" not in said
