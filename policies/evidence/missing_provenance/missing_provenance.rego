# METADATA
# title: A released artifact is the one its stage made
# description: >-
#   The artifact's digest must stand among the products of the stage it is said to come from, in evidence of this run and
#   plan that holds SLSA provenance and says the stage succeeded.
# custom:
#   id: evidence.missing_provenance
#   severity: critical
#   level: hard
#   gate: release
#   controls: [OWASP-CICD-SEC-9, SLSA-BUILD-L1, SLSA-BUILD-L2]
#   remediation: Release the artifact that the run left, or run the pipeline again.
package policyd.evidence.missing_provenance

import data.policyd.lib.evidence

deny contains violation if {
	made := [product |
		some found in evidence.of_this_run(input.artifact.stage)
		found.state == "succeeded"
		"https://slsa.dev/provenance/v1" in found.predicate_types
		some product in found.products
		product.output == input.artifact.output
		product.sha256 == input.artifact.sha256
	]
	count(made) == 0
	violation := {
		"message": sprintf("no provenance of this run says that %s made %s", [input.artifact.stage, input.artifact.name]),
		"at": ["artifact"],
	}
}
