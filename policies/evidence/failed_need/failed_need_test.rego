package policyd.evidence.failed_need_test

import data.policyd.evidence.failed_need

document(evidence) := {
	"run_id": "r1",
	"plan": {"sha256": "p1"},
	"stage": {"name": "deploy", "needs": ["build"]},
	"evidence": evidence,
}

evidence(stage, state, run, plan) := {"stage": stage, "state": state, "run_id": run, "plan_sha256": plan}

denied(found) if {
	count(failed_need.deny) > 0 with input as document(found)
}

test_no_evidence_is_denied if {
	found := failed_need.deny with input as document([])
	found == {{
		"message": "deploy needs build, of which this run has no evidence that it succeeded",
		"at": ["stage", "needs", 0],
	}}
}

test_failed_need_is_denied if denied([evidence("build", "failed", "r1", "p1")])

test_evidence_of_another_run_is_denied if denied([evidence("build", "succeeded", "r2", "p1")])

test_evidence_of_another_plan_is_denied if denied([evidence("build", "succeeded", "r1", "p2")])

test_evidence_of_another_stage_is_denied if denied([evidence("test", "succeeded", "r1", "p1")])

test_failure_is_not_undone_by_a_second_answer if {
	denied([evidence("build", "succeeded", "r1", "p1"), evidence("build", "failed", "r1", "p1")])
}

test_succeeded_need_is_fine if {
	count(failed_need.deny) == 0 with input as document([evidence("build", "succeeded", "r1", "p1")])
}

test_stage_without_needs_is_fine if {
	count(failed_need.deny) == 0 with input as object.union(document([]), {"stage": {"name": "build", "needs": []}})
}
