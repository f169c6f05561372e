# METADATA
# title: A stage starts when all it needs has succeeded
# description: >-
#   Every stage named in `needs` must have left an attestation of this run and this plan that says it succeeded.
#   Evidence of another run or plan does not count, nor does its absence.
# custom:
#   id: evidence.failed_need
#   severity: critical
#   level: hard
#   gate: stage
#   controls: [OWASP-CICD-SEC-1, OWASP-CICD-SEC-9]
#   remediation: Run the stage that is named again, and look at its log if it failed.
package policyd.evidence.failed_need

import data.policyd.lib.evidence

deny contains violation if {
	some i, need in input.stage.needs
	succeeded := [found | some found in evidence.of_this_run(need); found.state == "succeeded"]
	count(succeeded) == 0
	violation := {
		"message": sprintf("%s needs %s, of which this run has no evidence that it succeeded", [input.stage.name, need]),
		"at": ["stage", "needs", i],
	}
}

# Two answers about one stage: one that failed is not undone by one that did not.
deny contains violation if {
	some i, need in input.stage.needs
	some found in evidence.of_this_run(need)
	found.state != "succeeded"
	violation := {
		"message": sprintf("%s needs %s, which ended as %v", [input.stage.name, need, found.state]),
		"at": ["stage", "needs", i],
	}
}
