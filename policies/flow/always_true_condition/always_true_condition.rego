# METADATA
# title: Conditions can be false
# description: >-
#   Text around an expression (a blank, a second expression) makes the whole condition a non-empty text, which is always
#   true: the stage or step it should hold back always runs.
# custom:
#   id: flow.always_true_condition
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-1]
#   applies_to: [github]
#   remediation: "Put the whole condition into one expression: `if: ${{ a && b }}`, or leave the braces out."
package policyd.flow.always_true_condition

deny contains violation if {
	some condition in input.conditions
	condition.always_true
	violation := {
		"message": sprintf("the condition %s is always true", [condition.text]),
		"at": condition.at,
	}
}
