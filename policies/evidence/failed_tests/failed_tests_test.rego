package policyd.evidence.failed_tests_test

import data.policyd.evidence.failed_tests

result(kind, passed) := {"name": "unit", "kind": kind, "path": "x", "sha256": "d", "passed": passed, "counts": {}}

document(kind, run, results) := {
	"run_id": "r1",
	"plan": {"sha256": "p1"},
	"stage": {"name": "release", "kind": kind, "needs": ["test"]},
	"evidence": [{
		"stage": "test", "state": "succeeded", "run_id": run, "plan_sha256": "p1", "results": results,
	}],
}

denied(given) if {
	count(failed_tests.deny) > 0 with input as given
}

fine(given) if {
	count(failed_tests.deny) == 0 with input as given
}

test_deploy_on_failed_tests_is_denied if {
	found := failed_tests.deny with input as document("deploy", "r1", [result("junit", true), result("junit", false)])
	found == {{"message": "the tests unit of test did not pass", "at": ["stage", "needs"]}}
}

test_deploy_without_result_is_denied if denied(document("deploy", "r1", []))

test_deploy_on_a_result_without_answer_is_denied if denied(document("deploy", "r1", [result("junit", null)]))

test_deploy_on_another_kind_of_result_is_denied if denied(document("deploy", "r1", [result("sarif", true)]))

test_deploy_on_tests_of_another_run_is_denied if denied(document("deploy", "r2", [result("junit", true)]))

test_package_on_failed_tests_is_denied if denied(document("package", "r1", [result("junit", false)]))

test_deploy_on_passed_tests_is_fine if fine(document("deploy", "r1", [result("junit", true)]))

test_package_without_tests_is_fine if fine(document("package", "r1", []))

test_other_stage_is_fine if fine(document("scan", "r1", [result("junit", false)]))

counted(tests) := object.union(result("junit", true), {"counts": {"tests": tests}})

test_deploy_on_too_few_tests_is_denied if {
	found := failed_tests.deny with input as document("deploy", "r1", [counted(4), counted(5)])
		with data.policyd.settings.evidence.failed_tests.min_tests as 10
	found == {{"message": "release deploys on too few tests: 9", "at": ["stage", "needs"]}}
}

test_deploy_on_enough_tests_is_fine if {
	count(failed_tests.deny) == 0 with input as document("deploy", "r1", [counted(4), counted(6)])
		with data.policyd.settings.evidence.failed_tests.min_tests as 10
}
