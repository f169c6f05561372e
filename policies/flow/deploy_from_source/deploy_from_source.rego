# METADATA
# title: What is deployed is what was built
# description: >-
#   A deploy stage that is given the source tree and no product can build again on its own, and then deploys something
#   that no stage tested.
# custom:
#   id: flow.deploy_from_source
#   severity: medium
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-9, OWASP-CICD-SEC-1]
#   applies_to: [policyd]
#   remediation: "Give the deploy stage the product of the stage that built it (`inputs: products:`) instead of the source."
package policyd.flow.deploy_from_source

deny contains violation if {
	some stage in input.stages
	stage.kind == "deploy"
	stage.has_source
	kinds := {kind | some kind in stage.needs_kinds; kind in {"build", "package"}}
	count(kinds) == 0
	violation := {"message": sprintf("%s deploys from the source, not what a stage built", [stage.name]), "at": stage.at}
}
