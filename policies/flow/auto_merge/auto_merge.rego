# METADATA
# title: Nothing is merged for whoever passes as a bot
# description: >-
#   A stage that strangers can start approves or merges the pull request by itself. If all that stands before it is
#   nothing, or a check of `github.actor`, a stranger gets code merged that nobody looked at (a confused deputy). Sound
#   checks of who wrote the change, or a member's label, lift it. Not seen: rules of the branch that ask for reviews.
# custom:
#   id: flow.auto_merge
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-1, OWASP-CICD-SEC-4]
#   applies_to: [github, gitlab, azure]
#   remediation: >-
#     Ask who wrote the pull request (`github.event.pull_request.user.login`), merge only what a bot's own metadata names
#     (`dependabot/fetch-metadata`), and have the branch ask for checks and reviews.
package policyd.flow.auto_merge

import data.policyd.lib.trust

deny contains violation if {
	some effect in input.effects
	effect.kind == "auto-merge"
	guards := effect.guards
	not trust.is_guarded(guards)
	some stage in input.stages
	stage.name == effect.stage
	stage.untrusted
	stage.privileged
	violation := {
		"message": sprintf("%s approves or merges for strangers (%s)", [stage.name, effect.detail]),
		"at": effect.at,
		"related": [{"message": "the stage that strangers can start", "at": stage.at}],
	}
}
