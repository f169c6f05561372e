# METADATA
# title: Nothing is deployed on findings of level error
# description: >-
#   A deploy stage does not start while a scan it needs reports results of level error (SARIF). What level a finding has
#   is the scanner's word.
# custom:
#   id: evidence.scan_findings
#   severity: medium
#   gate: stage
#   controls: [OWASP-CICD-SEC-1, NIST-SSDF-PW.7.2]
#   remediation: Repair what was found, or set the finding's level in the scanner's own configuration, with the reason.
package policyd.evidence.scan_findings

import data.policyd.lib.evidence

deny contains violation if {
	input.stage.kind == "deploy"
	some found in evidence.this_run
	some result in found.results
	result.kind == "sarif"
	errors := object.get(result.counts, "error", 0)
	errors > 0
	violation := {
		"message": sprintf("the scan %v of %v has findings of level error: %v", [result.name, found.stage, errors]),
		"at": ["stage", "needs"],
	}
}
