# METADATA
# title: Conditions do not trust a name that others can take
# description: >-
#   `github.actor` is whoever caused the last event, not who wrote the change: a stranger who can make a bot act on their
#   pull request passes as the bot. Display names and commit authors (GITLAB_USER_NAME, CI_COMMIT_AUTHOR,
#   Build.RequestedFor) are whatever somebody writes. Not seen: checks inside scripts.
# custom:
#   id: flow.spoofable_condition
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-1, OWASP-CICD-SEC-2]
#   applies_to: [github, gitlab, azure]
#   remediation: >-
#     Compare who wrote the change (GitHub: `github.event.pull_request.user.login`; GitLab: `GITLAB_USER_LOGIN`, the whole
#     of it), and look at what changed before trusting it.
package policyd.flow.spoofable_condition

deny contains violation if {
	some condition in input.conditions
	condition.spoofable_actor
	violation := {
		"message": sprintf("the condition %s trusts a name that a stranger can take", [condition.text]),
		"at": condition.at,
		"confidence": _confidence,
	}
}

_confidence := "high" if _has_powers

# GitHub gives a fork's pull request nothing to take, and other systems don't say what it gets.
_confidence := "medium" if not _has_powers

_has_powers if {
	some trigger in input.triggers
	trigger.privileged
}
