# METADATA
# title: Strangers do not write the outputs of steps
# description: >-
#   A line of a stranger's text that reaches GITHUB_OUTPUT, or a logging command that sets a variable, sets other outputs
#   than the one meant: a line break in it ends the value and begins the next name. Seen: what the script itself writes;
#   a value between two lines that nobody can foresee is left out. Not seen: a write by a program, and whether
#   the text can hold a line break.
# custom:
#   id: injection.output_write
#   severity: medium
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-4]
#   applies_to: [github, azure]
#   confidence: medium
#   remediation: >-
#     Keep only the characters that the value needs (`tr -cd '0-9A-Za-z._-'`), or write it between two lines of a random
#     delimiter, and treat the output as a stranger's wherever it is used.
package policyd.injection.output_write

deny contains violation if {
	some effect in input.effects
	effect.kind == "output-write"
	effect.untrusted
	violation := {"message": sprintf("a stranger's text is written to %s", [effect.detail]), "at": effect.at}
}
