package policyd.injection.checkout_after_check_test

import data.policyd.injection.checkout_after_check

document(fields) := {
	"checkouts": [object.union(
		{
			"at": ["checkouts", 0], "stage": "build", "untrusted": true, "mutable": true, "guards": ["label"], "path": "",
			"runs": "", "runs_at": [],
		},
		fields,
	)],
	"stages": [{"at": ["stages", 0], "name": "build", "privileged": true}],
}

test_branch_behind_a_label_is_denied if {
	found := checkout_after_check.deny with input as document({"guards": ["comment", "label"]})
	found == {{
		"message": "a stranger can change the code between the check (comment, label) and this checkout",
		"at": ["checkouts", 0],
		"confidence": "medium",
		"related": [{"message": "the stage that is privileged", "at": ["stages", 0]}],
	}}
}

test_what_runs_of_it_is_said_and_denied if {
	found := checkout_after_check.deny with input as document({"runs": "make", "runs_at": ["effects", 1]})
	some violation in found
	violation.related[0] == {"message": "what runs of it", "at": ["effects", 1]}
}

test_commit_behind_a_label_is_fine if {
	count(checkout_after_check.deny) == 0 with input as document({"mutable": false})
}

test_own_branch_behind_a_label_is_fine if {
	count(checkout_after_check.deny) == 0 with input as document({"guards": ["label", "same-repository"]})
}

test_checkout_without_any_check_is_fine_here if {
	count(checkout_after_check.deny) == 0 with input as document({"guards": []})
}

test_stage_without_powers_is_fine if {
	stages := [{"at": ["stages", 0], "name": "build", "privileged": false}]
	count(checkout_after_check.deny) == 0 with input as object.union(document({}), {"stages": stages})
}

test_nothing_is_fine if {
	count(checkout_after_check.deny) == 0 with input as {"checkouts": [], "stages": []}
}
