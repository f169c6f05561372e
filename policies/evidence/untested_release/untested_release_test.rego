package policyd.evidence.untested_release_test

import data.policyd.evidence.untested_release

result(passed) := {"name": "unit", "kind": "junit", "path": "x", "sha256": "d", "passed": passed, "counts": {}}

document(state, results) := {
	"run_id": "r1",
	"plan": {"sha256": "p1"},
	"evidence": [{"stage": "test", "state": state, "run_id": "r1", "plan_sha256": "p1", "results": results}],
}

test_no_result_is_denied if {
	found := untested_release.deny with input as document("succeeded", [])
	found == {{"message": "the run holds no test result that passed", "at": ["evidence"]}}
}

test_failed_result_is_denied if {
	count(untested_release.deny) == 1 with input as document("succeeded", [result(true), result(false)])
}

test_result_of_a_failed_stage_is_denied if {
	count(untested_release.deny) == 1 with input as document("failed", [result(true)])
}

test_passed_result_is_fine if {
	count(untested_release.deny) == 0 with input as document("succeeded", [result(true)])
}

test_no_evidence_is_denied if {
	count(untested_release.deny) == 1 with input as object.union(document("", []), {"evidence": []})
}
