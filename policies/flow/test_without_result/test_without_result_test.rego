package policyd.flow.test_without_result_test

import data.policyd.flow.test_without_result

stage(kind, results) := {"at": ["stages", 0], "name": "unit", "kind": kind, "results": results}

test_test_without_result_is_denied if {
	found := test_without_result.deny with input.stages as [stage("test", ["sarif"])]
	found == {{"message": "unit leaves no test result", "at": ["stages", 0]}}
}

test_test_with_junit_is_fine if {
	count(test_without_result.deny) == 0 with input.stages as [stage("test", ["junit"])]
}

test_other_stage_is_fine if {
	count(test_without_result.deny) == 0 with input.stages as [stage("build", [])]
}

test_no_stage_is_fine if {
	count(test_without_result.deny) == 0 with input.stages as []
}
