package policyd.isolation.unsandboxed_release_test

import data.policyd.isolation.unsandboxed_release

test_stage_without_sandbox_is_reported if {
	found := unsandboxed_release.deny with input.evidence as [
		{"stage": "build", "sandbox": "bwrap"},
		{"stage": "pack", "sandbox": "unsandboxed"},
	]
	found == {{"message": "pack ran without a sandbox", "at": ["evidence", 1]}}
}

test_sandbox_is_fine if {
	count(unsandboxed_release.deny) == 0 with input.evidence as [{"stage": "build", "sandbox": "bwrap"}]
}

test_no_evidence_is_another_rule if {
	count(unsandboxed_release.deny) == 0 with input.evidence as []
}
