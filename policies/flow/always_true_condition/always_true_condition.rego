# METADATA
# title: Conditions can be false
# description: >-
#   A condition that always holds guards nothing: text around an expression (a blank, a second expression) makes it a
#   non-empty text, and `$X != "a" || $X != "b"` holds whatever X is. The stage or step it should hold back always runs.
#   Not seen: conditions that are always true because of how the project is set up.
# custom:
#   id: flow.always_true_condition
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-1]
#   applies_to: [github, gitlab, azure]
#   remediation: >-
#     Put the whole condition into one expression (`if: ${{ a && b }}`), or leave the braces out. Join inequalities of
#     one variable with "and".
package policyd.flow.always_true_condition

deny contains violation if {
	some condition in input.conditions
	condition.always_true
	violation := {
		"message": sprintf("the condition %s is always true", [condition.text]),
		"at": condition.at,
	}
}
