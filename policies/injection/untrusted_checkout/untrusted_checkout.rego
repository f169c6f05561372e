# METADATA
# title: Privileged stages do not check out strangers' code
# description: >-
#   A stage that has secrets or a token that writes, and checks out the code of a pull request from outside, hands both
#   to whoever wrote it: build files, test files, local actions and tools' configuration all run code. Seen: what runs
#   of it afterwards; where nothing is seen to, confidence is medium. Conditions that keep strangers out, or that ask a
#   member first, lift it. Not seen: checks inside programs, and code that is fetched by other means than git.
# custom:
#   id: injection.untrusted_checkout
#   severity: critical
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-4, NIST-SSDF-PO.5.1]
#   applies_to: [github, gitlab, azure, tekton]
#   remediation: >-
#     Build contributions in a pipeline that has no secrets and a token that only reads (GitHub: `pull_request`), and let
#     a second one read only its results.
package policyd.injection.untrusted_checkout

import data.policyd.lib.trust

deny contains violation if {
	some checkout in input.checkouts
	checkout.untrusted
	checkout.runs != ""
	guards := checkout.guards
	not trust.is_guarded(guards)
	some stage in input.stages
	stage.name == checkout.stage
	stage.privileged
	violation := {
		"message": sprintf("%s has secrets or a token that writes, checks out a stranger's code, and runs it with %s", [stage.name, checkout.runs]),
		"at": checkout.at,
		"related": [
			{"message": "what runs of it", "at": checkout.runs_at},
			{"message": "the stage that is privileged", "at": stage.at},
		],
	}
}

deny contains violation if {
	some checkout in input.checkouts
	checkout.untrusted
	checkout.runs == ""
	guards := checkout.guards
	not trust.is_guarded(guards)
	some stage in input.stages
	stage.name == checkout.stage
	stage.privileged
	violation := {
		"message": sprintf("%s has secrets or a token that writes, and checks out a stranger's code", [stage.name]),
		"at": checkout.at,
		"confidence": "medium",
		"related": [{"message": "the stage that is privileged", "at": stage.at}],
	}
}
