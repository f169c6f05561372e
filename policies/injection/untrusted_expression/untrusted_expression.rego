# METADATA
# title: No stranger's text becomes part of a script
# description: >-
#   The CI system pastes the value of an expression into the script before the shell reads it. A title, branch name or
#   comment that anyone can write then ends a command and begins another. Seen: scripts, inputs that an action runs as
#   code, and names of images and files to include; variables and outputs of steps are followed. What comes from another
#   job is injection.untrusted_flow. Not seen: values that a program reads and hands on.
# custom:
#   id: injection.untrusted_expression
#   severity: critical
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-4]
#   applies_to: [github, gitlab, azure, tekton]
#   remediation: >-
#     Put the expression into an environment variable of the step and use the variable, in quotes, in the script (GitHub:
#     `env: TITLE: ${{ … }}` and `"$TITLE"`). Write out which image or file is used.
package policyd.injection.untrusted_expression

deny contains violation if {
	some expression in input.expressions
	expression.untrusted
	expression.sink == "script"
	not expression.open
	at := expression.at
	flown := _flown
	not at in flown
	violation := {
		"message": sprintf("%s, which a stranger can write, becomes part of a script", [expression.text]),
		"at": at,
	}
}

# Only a version of something known is no more than a choice among what is there.
deny contains violation if {
	some expression in input.expressions
	expression.untrusted
	expression.sink == "reference"
	not expression.open
	some reference in input.references
	reference.computed
	reference.stage == expression.stage
	contains(sprintf("%s/%s", [reference.owner, reference.name]), expression.text)
	violation := {
		"message": sprintf("%s, which a stranger can write, names what is run here", [expression.text]),
		"at": expression.at,
		"confidence": "medium",
	}
}

# What other rules say of values that come from another job or file.
_flown := {flow.lands | some flow in input.flows; flow.sink == "script"}
