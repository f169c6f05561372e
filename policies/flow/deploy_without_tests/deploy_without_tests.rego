# METADATA
# title: Nothing is deployed before it was tested
# description: >-
#   A deploy stage has to need a test stage, directly or through others; stages that are only written in that order may
#   run side by side. Not seen: whether the tests test anything; the stage gate looks at their results.
# custom:
#   id: flow.deploy_without_tests
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-1, NIST-SSDF-PW.8.2]
#   applies_to: [policyd]
#   remediation: "Add the test stage to the deploy stage's `needs`."
package policyd.flow.deploy_without_tests

deny contains violation if {
	some stage in input.stages
	stage.kind == "deploy"
	kinds := stage.needs_kinds
	not "test" in kinds
	violation := {"message": sprintf("%s deploys without needing a test", [stage.name]), "at": stage.at}
}
