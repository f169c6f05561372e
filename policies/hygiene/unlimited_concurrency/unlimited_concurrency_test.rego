package policyd.hygiene.unlimited_concurrency_test

import data.policyd.hygiene.unlimited_concurrency

document(event, file) := {
	"pipeline": {"kind": "workflow"},
	"triggers": [{"at": ["triggers", 0], "event": event}],
	"document": file,
}

test_no_group_is_denied if {
	found := unlimited_concurrency.deny with input as document("push", {"jobs": {"build": {"steps": []}}})
	found == {{"message": "runs of one branch go on beside each other: no `concurrency` is named", "at": ["triggers", 0]}}
}

test_group_of_the_workflow_is_fine if {
	count(unlimited_concurrency.deny) == 0 with input as document("push", {"concurrency": "ci", "jobs": {}})
}

test_group_of_a_job_is_fine if {
	count(unlimited_concurrency.deny) == 0 with input as document("push", {"jobs": {"build": {"concurrency": "ci"}}})
}

test_what_runs_by_the_clock_is_fine if {
	count(unlimited_concurrency.deny) == 0 with input as document("schedule", {"jobs": {}})
}

test_actions_are_fine if {
	count(unlimited_concurrency.deny) == 0 with input as object.union(
		document("push", {}),
		{"pipeline": {"kind": "action"}},
	)
}
