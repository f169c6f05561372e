# METADATA
# title: Tests leave results
# description: >-
#   A test stage that leaves no result says only that its last command ended well. Later gates then can't tell a run of
#   all tests from a run of none.
# custom:
#   id: flow.test_without_result
#   severity: low
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-10, NIST-SSDF-PW.8.2]
#   applies_to: [policyd]
#   remediation: "Have the tests write a JUnit file to $OUT and declare it under `results`."
package policyd.flow.test_without_result

deny contains violation if {
	some stage in input.stages
	stage.kind == "test"
	kinds := stage.results
	not "junit" in kinds
	violation := {"message": sprintf("%s leaves no test result", [stage.name]), "at": stage.at}
}
