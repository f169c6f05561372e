# METADATA
# title: Nothing is released untested
# description: >-
#   The run must hold at least one test result that passed and none that did not. A result is what a stage says of
#   itself; that it is fresh and not empty was checked by the runner.
# custom:
#   id: evidence.untested_release
#   severity: high
#   gate: release
#   controls: [OWASP-CICD-SEC-1, NIST-SSDF-PW.8.2]
#   remediation: Repair what the tests found, or add a test stage that declares a JUnit file under `results`.
package policyd.evidence.untested_release

import data.policyd.lib.evidence

deny contains violation if {
	passed := [result | some result in evidence.test_results; result.passed == true]
	count(passed) == 0
	violation := {"message": "the run holds no test result that passed", "at": ["evidence"]}
}

deny contains violation if {
	some result in evidence.test_results
	result.passed != true
	violation := {
		"message": sprintf("the tests %v of %v did not pass", [result.name, result.stage]),
		"at": ["evidence"],
	}
}
