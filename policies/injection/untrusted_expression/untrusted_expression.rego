# METADATA
# title: No stranger's text becomes part of a script
# description: >-
#   The CI system pastes the value of an expression into the script before the shell reads it. A title, branch name or
#   comment that anyone can write then ends a command and begins another. Not seen: values that a stage read from
#   outside and hands on as an output.
# custom:
#   id: injection.untrusted_expression
#   severity: critical
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-4]
#   remediation: >-
#     Put the expression into an environment variable of the step and use the variable, in quotes, in the script:
#     `env: TITLE: ${{ … }}` and `"$TITLE"`.
package policyd.injection.untrusted_expression

deny contains violation if {
	some expression in input.expressions
	expression.untrusted
	expression.sink == "script"
	violation := {
		"message": sprintf("%s, which a stranger can write, becomes part of a script", [expression.text]),
		"at": expression.at,
	}
}
