"""Where front ends write down facts, with the place of each."""

from __future__ import annotations

from collections import defaultdict

from policyd.errors import InputTooLarge
from policyd.models.base import JsonPath
from policyd.models.facts import (
    Checkout,
    Command,
    Condition,
    Container,
    Expression,
    Facts,
    Permission,
    Reference,
    SecretUse,
    StageFact,
    Trigger,
    Variable,
)
from policyd.pipeline.shell import ShellCommand
from policyd.pipeline.source_map import SourceMap, Spot

MAX_FACTS = 20_000  # of one kind; a real pipeline has some hundred


class FactBook:
    """The lists of facts of one pipeline while they are collected.

    Ask `at` for the place of the next fact of a list, then append the fact: `at` is its index.
    """

    def __init__(self, file: str) -> None:
        self._file = file
        self.spots: dict[str, list[Spot]] = defaultdict(list)
        self.stages: list[StageFact] = []
        self.triggers: list[Trigger] = []
        self.references: list[Reference] = []
        self.commands: list[Command] = []
        self.expressions: list[Expression] = []
        self.checkouts: list[Checkout] = []
        self.permissions: list[Permission] = []
        self.secrets: list[SecretUse] = []
        self.variables: list[Variable] = []
        self.containers: list[Container] = []
        self.conditions: list[Condition] = []

    def at(self, kind: str, spot: Spot) -> JsonPath:
        """Return the path of the next fact of the list `kind`, which stands at `spot`."""
        spots = self.spots[kind]
        if len(spots) >= MAX_FACTS:
            raise InputTooLarge(
                f"the pipeline has more than {MAX_FACTS} {kind}", where=self._file, fix="split the pipeline"
            )
        spots.append(spot)
        return (kind, len(spots) - 1)

    def add_command(self, command: ShellCommand, stage: str, spot: Spot, *, run_by: str) -> None:
        """Write down a command; `run_by` is the shell that runs it, "" for none."""
        self.commands.append(
            Command(
                at=self.at("commands", spot),
                stage=stage,
                text=command.text,
                program=command.program,
                argv=command.argv,
                pipes_to=command.pipes_to,
                writes_to=command.writes_to,
                shell=run_by,
                untrusted=command.untrusted,
            )
        )

    def close(self, source_map: SourceMap) -> tuple[Facts, SourceMap]:
        """Return all facts and the source map that knows where they stand."""
        facts = Facts(
            stages=self.stages,
            triggers=self.triggers,
            references=self.references,
            commands=self.commands,
            expressions=self.expressions,
            checkouts=self.checkouts,
            permissions=self.permissions,
            secrets=self.secrets,
            variables=self.variables,
            containers=self.containers,
            conditions=self.conditions,
        )
        return facts, source_map.with_facts(self.spots)
