package policyd.injection.untrusted_checkout_test

import data.policyd.injection.untrusted_checkout

document(untrusted, privileged) := {
	"checkouts": [{
		"text": "actions/checkout@v4", "ref": "${{ github.event.pull_request.head.sha }}", "untrusted": untrusted,
		"persists_credentials": true, "mutable": false, "guards": [], "at": ["checkouts", 0], "stage": "build",
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

guarded(guard, mutable) := object.union(document(true, true), {"checkouts": [{
	"text": "actions/checkout@v4", "ref": "${{ github.event.pull_request.head.sha }}", "untrusted": true,
	"persists_credentials": true, "mutable": mutable, "guards": [guard], "at": ["checkouts", 0], "stage": "build",
}]})

test_own_branches_are_fine_even_if_they_move if {
	count(untrusted_checkout.deny) == 0 with input as guarded("same-repository", true)
}

test_what_a_member_let_pass_is_fine_if_it_cannot_change if {
	count(untrusted_checkout.deny) == 0 with input as guarded("label", false)
	count(untrusted_checkout.deny) == 1 with input as guarded("label", true)
}

test_a_comment_alone_lets_nobody_pass if {
	count(untrusted_checkout.deny) == 1 with input as guarded("comment", false)
}

test_nothing_is_fine if {
	count(untrusted_checkout.deny) == 0 with input as {"checkouts": [], "stages": []}
}
