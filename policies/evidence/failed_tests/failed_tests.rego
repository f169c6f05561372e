# METADATA
# title: Nothing is deployed on tests that failed
# description: >-
#   A deploy stage starts only where the evidence before it holds at least one test result that passed and none that did
#   not. A result is what the test stage says of itself; that it is fresh and not empty was checked by the runner.
# custom:
#   id: evidence.failed_tests
#   severity: high
#   gate: stage
#   controls: [OWASP-CICD-SEC-1, NIST-SSDF-PW.8.2]
#   settings:
#     min_tests:
#       type: integer
#       default: 0
#       tighter: higher
#       description: How many tests there must be among what a deploy stage needs.
#   remediation: >-
#     Repair what the tests found. Where there is no result, have the test stage declare a JUnit file under `results`
#     and the deploy stage name the test stage in `needs`.
package policyd.evidence.failed_tests

import data.policyd.lib.evidence

deny contains violation if {
	input.stage.kind == "deploy"
	passed := [result | some result in evidence.test_results; result.passed == true]
	count(passed) == 0
	violation := {
		"message": sprintf("%s deploys without a test result that passed among what it needs", [input.stage.name]),
		"at": ["stage", "needs"],
	}
}

deny contains violation if {
	input.stage.kind == "deploy"
	tests := sum([object.get(result.counts, "tests", 0) |
		some found in evidence.this_run
		found.state == "succeeded"
		some result in found.results
		result.kind == "junit"
	])
	tests < data.policyd.settings.evidence.failed_tests.min_tests
	violation := {
		"message": sprintf("%s deploys on too few tests: %v", [input.stage.name, tests]),
		"at": ["stage", "needs"],
	}
}

deny contains violation if {
	input.stage.kind in {"deploy", "package"}
	some result in evidence.test_results
	result.passed != true
	violation := {
		"message": sprintf("the tests %v of %v did not pass", [result.name, result.stage]),
		"at": ["stage", "needs"],
	}
}
