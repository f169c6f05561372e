# METADATA
# title: No stranger's text becomes an option or a script of a program
# description: >-
#   Quotes keep a shell from reading a variable as commands, but not the program that is given it: `git`, `tar` or `make`
#   take an option from a text that begins with `-`, and `sed`, `awk` or `jq` run what they are given. Seen: variables in
#   place of an operand or script. Not seen: programs that policyd does not know.
# custom:
#   id: injection.untrusted_argument
#   severity: medium
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-4]
#   applies_to: [github, gitlab, azure, tekton]
#   remediation: >-
#     Put `--` before operands, hand text to scripts as data (`jq --arg`, `awk -v`), and check that the value is of the
#     form it should have.
package policyd.injection.untrusted_argument

deny contains violation if {
	some effect in input.effects
	effect.kind == "argument"
	effect.untrusted
	violation := {
		"message": sprintf("%s takes options or a script from %s, which a stranger can write", [effect.program, effect.detail]),
		"at": effect.at,
		"confidence": effect.confidence,
	}
}
