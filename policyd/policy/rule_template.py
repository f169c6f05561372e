"""The rule and the test that an author starts from: they compile, pass, and say in each place what to write there."""

from __future__ import annotations

import re

from policyd.errors import UsageError
from policyd.models.decision import Gate

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_TAKEN = frozenset(("lib", "settings", "known"))  # what stands below a prefix beside families

_RULE = """\
# METADATA
# title: {title} is as it should be
# description: >-
#   Say why it matters: what an attacker gains, or what goes wrong, where this rule is broken. Seen is a command that
#   runs one program. Say what is not seen, too: a rule that seems to see all is trusted too far.
# custom:
#   id: {family}.{rule}
#   severity: medium
#   gate: {gate}
#   controls: [OWASP-CICD-SEC-1]
#   remediation: Say what to do, so that whoever reads it can do it at once.
package {prefix}.{family}.{rule}

# What users may want otherwise is a setting, declared above and read as data.{prefix}.settings.{family}.{rule}.NAME.
deny contains violation if {{
{body}
}}
"""

_TEST = """\
package {prefix}.{family}.{rule}_test

import data.{prefix}.{family}.{rule}

{test}
"""

# For each gate a body that finds something, and tests of it.
_BODIES = {
    Gate.PIPELINE: """\
	some command in input.commands
	command.program == "forbidden-program"
	violation := {
		"message": sprintf("%s runs", [command.program]),
		"at": command.at,
	}""",
    Gate.STAGE: """\
	input.stage.kind == "deploy"
	input.requester.verified == false
	violation := {
		"message": sprintf("%s is asked for by nobody who is known", [input.stage.name]),
		"at": ["requester"],
	}""",
    Gate.RELEASE: """\
	input.target == "forbidden-target"
	violation := {
		"message": sprintf("%s leaves for %s", [input.artifact.name, input.target]),
		"at": ["target"],
	}""",
}
_TESTS = {
    Gate.PIPELINE: """\
command(program) := {"program": program, "at": ["commands", 0], "stage": "build"}

test_forbidden_program_is_denied_where_it_stands if {
	found := RULE.deny with input.commands as [command("forbidden-program")]
	found == {{"message": "forbidden-program runs", "at": ["commands", 0]}}
}

test_other_program_is_fine if {
	count(RULE.deny) == 0 with input.commands as [command("make")]
}

test_no_command_is_fine if {
	count(RULE.deny) == 0 with input.commands as []
}""",
    Gate.STAGE: """\
document(kind, verified) := {"stage": {"name": "publish", "kind": kind}, "requester": {"verified": verified}}

test_deploy_by_nobody_is_denied if {
	found := RULE.deny with input as document("deploy", false)
	found == {{"message": "publish is asked for by nobody who is known", "at": ["requester"]}}
}

test_deploy_by_somebody_is_fine if {
	count(RULE.deny) == 0 with input as document("deploy", true)
}

test_other_stage_is_fine if {
	count(RULE.deny) == 0 with input as document("test", false)
}""",
    Gate.RELEASE: """\
document(target) := {"artifact": {"name": "app"}, "target": target}

test_forbidden_target_is_denied if {
	found := RULE.deny with input as document("forbidden-target")
	found == {{"message": "app leaves for forbidden-target", "at": ["target"]}}
}

test_other_target_is_fine if {
	count(RULE.deny) == 0 with input as document("staging")
}""",
}


def make_rule(family: str, rule: str, gate: Gate, prefix: str = "policyd") -> dict[str, bytes]:
    """Return the files of a new rule: path below the policy folder → content. Its packages begin with `prefix`.

    Raises `UsageError` for a name that no rule can have.
    """
    for what, name in (("family", family), ("rule", rule), ("prefix", prefix)):
        if not _NAME.fullmatch(name) or name.endswith("_test") or (what == "family" and name in _TAKEN):
            raise UsageError(
                f"{name!r} can't be the name of a {what}",
                where="policyd policy new FAMILY RULE",
                fix="use lower case letters, digits and _, a letter first; not `lib`, `settings` or `known`, and no "
                "`_test` at the end",
            )
    words = {"family": family, "rule": rule, "gate": gate.value, "prefix": prefix}
    title = rule.replace("_", " ")
    text = _RULE.format(**words, title=title[0].upper() + title[1:], body=_BODIES[gate])
    test = _TEST.format(**words, test=_TESTS[gate].replace("RULE", rule))
    folder = f"{family}/{rule}/{rule}"
    return {f"{folder}.rego": text.encode(), f"{folder}_test.rego": test.encode()}
