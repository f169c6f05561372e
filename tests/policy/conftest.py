"""Small policy sets to read, ask and break."""

from __future__ import annotations

from collections.abc import Callable

import pytest

RULE = """# METADATA
# title: Nothing is red
# description: Red hides what is below it.
# custom:
#   id: colours.{name}
#   severity: {severity}
#   gate: {gate}
#   controls: [OWASP-CICD-SEC-4]
#   remediation: Paint it.
{more}package policyd.colours.{name}

deny contains violation if {{
	some i, thing in input.commands
	thing.colour == "{name}"
	violation := {{"message": sprintf("%s is {name}", [thing.name]), "at": ["things", i]}}
}}
"""


def make_rule(name: str = "red", *, severity: str = "high", gate: str = "pipeline", more: str = "") -> bytes:
    return RULE.format(name=name, severity=severity, gate=gate, more=more).encode()


def make_files(*names: str) -> dict[str, bytes]:
    return {f"colours/{name}/{name}.rego": make_rule(name) for name in names or ("red",)}


@pytest.fixture
def rule() -> Callable[..., bytes]:
    """Makes the bytes of a rule."""
    return make_rule


@pytest.fixture
def files() -> Callable[..., dict[str, bytes]]:
    """Makes the files of a policy set with the rules named."""
    return make_files
