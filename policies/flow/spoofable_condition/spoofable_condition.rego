# METADATA
# title: Conditions do not trust who acted last
# description: >-
#   `github.actor` is whoever caused the last event, not who wrote the change: a stranger who can make a bot act on
#   their pull request passes as the bot.
# custom:
#   id: flow.spoofable_condition
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-1, OWASP-CICD-SEC-2]
#   applies_to: [github]
#   remediation: >-
#     Compare `github.event.pull_request.user.login` (who wrote it), and look at what changed before trusting it.
package policyd.flow.spoofable_condition

deny contains violation if {
	some condition in input.conditions
	condition.spoofable_actor
	violation := {
		"message": sprintf("the condition %s trusts who acted last, which a stranger can arrange", [condition.text]),
		"at": condition.at,
	}
}
