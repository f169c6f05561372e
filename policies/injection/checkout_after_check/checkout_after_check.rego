# METADATA
# title: What is checked out is what was let pass
# description: >-
#   A member's label, comment or approval lets a pull request pass, and then its branch is checked out by name: whoever
#   owns the branch pushes other code in between. A commit's digest taken from the event that carried the permission
#   can't change. Not seen: programs that compare commits themselves.
# custom:
#   id: injection.checkout_after_check
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-4, OWASP-CICD-SEC-1]
#   applies_to: [github, gitlab, azure, tekton]
#   remediation: >-
#     Check out the commit that was looked at by its digest, taken from the event (GitHub:
#     `github.event.pull_request.head.sha` under `labeled`), never a branch, a pull request's number or an answer that
#     was asked for later.
package policyd.injection.checkout_after_check

import data.policyd.lib.trust

deny contains violation if {
	some checkout in input.checkouts
	checkout.untrusted
	checkout.mutable
	trust.may_run(checkout)
	guards := checkout.guards
	trust.is_let_pass(guards)
	not trust.is_ours(guards)
	some stage in input.stages
	stage.name == checkout.stage
	stage.privileged
	violation := {
		"message": sprintf("a stranger can change the code between the check (%s) and this checkout", [concat(", ", guards)]),
		"at": checkout.at,
		"confidence": trust.confidence(checkout),
		"related": array.concat(trust.runs_of(checkout), [{"message": "the stage that is privileged", "at": stage.at}]),
	}
}
