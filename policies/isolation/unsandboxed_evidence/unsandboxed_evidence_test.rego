package policyd.isolation.unsandboxed_evidence_test

import data.policyd.isolation.unsandboxed_evidence

document(plan, evidence) := {
	"stage": {"name": "deploy"},
	"plan": {"sandbox": plan},
	"evidence": [{"stage": "build", "sandbox": evidence}],
}

test_stage_without_sandbox_is_denied if {
	found := unsandboxed_evidence.deny with input as document("bwrap", "none")
	found == {{"message": "build ran without a sandbox", "at": ["evidence", 0]}}
}

test_unknown_sandbox_is_none if {
	count(unsandboxed_evidence.deny) == 1 with input as document("bwrap", "")
}

test_plan_without_sandbox_is_denied if {
	count(unsandboxed_evidence.deny) == 1 with input as document("none", "bwrap")
}

test_sandbox_is_fine if {
	count(unsandboxed_evidence.deny) == 0 with input as document("bwrap", "bwrap")
}

test_no_evidence_is_fine if {
	count(unsandboxed_evidence.deny) == 0 with input as object.union(document("bwrap", ""), {"evidence": []})
}
