# METADATA
# title: Privileged stages do not check out strangers' code
# description: >-
#   A stage that has secrets or a token that writes, and checks out the code of a pull request from outside, hands both
#   to whoever wrote it: build files, test files and tools' configuration all run code.
# custom:
#   id: injection.untrusted_checkout
#   severity: critical
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-4]
#   applies_to: [github]
#   remediation: >-
#     Build pull requests in a workflow started by `pull_request`, which has no secrets, and let a second workflow read
#     only its results.
package policyd.injection.untrusted_checkout

deny contains violation if {
	some checkout in input.checkouts
	checkout.untrusted
	some stage in input.stages
	stage.name == checkout.stage
	stage.privileged
	violation := {
		"message": sprintf("%s, which has secrets or a token that writes, checks out code of strangers", [stage.name]),
		"at": checkout.at,
		"related": [{"message": "the stage that is privileged", "at": stage.at}],
	}
}
