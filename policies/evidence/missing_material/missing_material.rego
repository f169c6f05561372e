# METADATA
# title: A stage gets only what a stage of this run made
# description: >-
#   Every product a stage is to be given must be listed, with its digest, in the verified evidence of the stage that is
#   named as its maker, in this run and under this plan.
# custom:
#   id: evidence.missing_material
#   severity: critical
#   level: hard
#   gate: stage
#   controls: [OWASP-CICD-SEC-9, SLSA-BUILD-L2]
#   remediation: Run the stage that makes the product again, and see that it declares the output.
package policyd.evidence.missing_material

import data.policyd.lib.evidence

deny contains violation if {
	some i, reference in input.stage.products
	parts := split(reference, ".")
	made := [product |
		some found in evidence.of_this_run(parts[0])
		found.state == "succeeded"
		some product in found.products
		product.output == parts[1]
	]
	count(made) == 0
	violation := {
		"message": sprintf("%s is to be given %s, which no evidence of this run lists", [input.stage.name, reference]),
		"at": ["stage", "products", i],
	}
}
