# METADATA
# title: Builds declare what they make
# description: >-
#   What a build stage does not declare is not collected, not hashed and not attested, so nothing can be verified of it
#   later.
# custom:
#   id: flow.build_without_output
#   severity: low
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-9, SLSA-BUILD-L1]
#   applies_to: [policyd]
#   remediation: "Have the stage write to $OUT and declare each file under `outputs`."
package policyd.flow.build_without_output

deny contains violation if {
	some stage in input.stages
	stage.kind in {"build", "package"}
	count(stage.outputs) == 0
	violation := {"message": sprintf("%s declares nothing that it makes", [stage.name]), "at": stage.at}
}
