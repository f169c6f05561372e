# METADATA
# title: A choice in an expression can be made
# description: >-
#   `${{ a && '' || 'x' }}` is meant as "if a then nothing else x", but what stands after `&&` counts as false (an empty
#   text, 0, false), so the last value comes out whatever a is. Seen: such values written out. Not seen: variables that
#   are empty when it runs.
# custom:
#   id: flow.ternary_condition
#   severity: low
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-1]
#   applies_to: [github]
#   remediation: >-
#     Turn the choice round, so that what stands after `&&` counts as true (`${{ !a && 'x' || '' }}`), or use `case()` or
#     two steps.
package policyd.flow.ternary_condition

deny contains violation if {
	some expression in input.expressions
	expression.ternary
	violation := _violation(expression)
}

deny contains violation if {
	some condition in input.conditions
	condition.ternary
	violation := _violation(condition)
}

_violation(fact) := {
	"message": sprintf("%v always yields its last value: what stands after `&&` counts as false", [fact.text]),
	"at": fact.at,
}
