package policyd.injection.untrusted_checkout_test

import data.policyd.injection.untrusted_checkout

document(untrusted, privileged) := {
	"checkouts": [{
		"text": "actions/checkout@v4", "ref": "${{ github.event.pull_request.head.sha }}", "untrusted": untrusted,
		"persists_credentials": true, "at": ["checkouts", 0], "stage": "build",
	}],
	"stages": [
		{"at": ["stages", 0], "name": "lint", "privileged": true, "untrusted": true},
		{"at": ["stages", 1], "name": "build", "privileged": privileged, "untrusted": true},
	],
}

test_stranger_in_a_privileged_stage_is_denied if {
	found := untrusted_checkout.deny with input as document(true, true)
	some violation in found
	violation.at == ["checkouts", 0]
	violation.related == [{"message": "the stage that is privileged", "at": ["stages", 1]}]
}

test_stranger_in_a_stage_without_powers_is_fine if {
	count(untrusted_checkout.deny) == 0 with input as document(true, false)
}

test_own_code_in_a_privileged_stage_is_fine if {
	count(untrusted_checkout.deny) == 0 with input as document(false, true)
}

test_nothing_is_fine if {
	count(untrusted_checkout.deny) == 0 with input as {"checkouts": [], "stages": []}
}
