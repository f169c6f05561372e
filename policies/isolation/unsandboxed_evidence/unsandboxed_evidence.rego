# METADATA
# title: What a stage relies on was made in a sandbox
# description: >-
#   A stage that ran without isolation could read and change anything its user can, other stages' products and keys
#   included, so its evidence says less.
# custom:
#   id: isolation.unsandboxed_evidence
#   severity: low
#   gate: stage
#   controls: [OWASP-CICD-SEC-7, SLSA-BUILD-L3]
#   remediation: Run where bubblewrap works (`policyd doctor`), without `--sandbox none`.
package policyd.isolation.unsandboxed_evidence

import data.policyd.lib.evidence

deny contains violation if {
	some i, found in input.evidence
	not evidence.is_sandboxed(found)
	violation := {"message": sprintf("%s ran without a sandbox", [found.stage]), "at": ["evidence", i]}
}

deny contains violation if {
	input.plan.sandbox != "bwrap"
	violation := {"message": sprintf("%s would run without a sandbox", [input.stage.name]), "at": ["plan", "sandbox"]}
}
