package policyd.injection.untrusted_checkout_test

import data.policyd.injection.untrusted_checkout

checkout(fields) := object.union(
	{
		"at": ["checkouts", 0], "stage": "build", "text": "actions/checkout@v4", "ref": "", "untrusted": true,
		"persists_credentials": false, "mutable": false, "guards": [], "path": "", "runs": "make test",
		"runs_at": ["effects", 3],
	},
	fields,
)

document(one, privileged) := in_system("github", one, privileged)

in_system(dialect, one, privileged) := {
	"pipeline": {"dialect": dialect},
	"checkouts": [one],
	"stages": [
		{"at": ["stages", 0], "name": "lint", "privileged": true},
		{"at": ["stages", 1], "name": "build", "privileged": privileged},
	],
}

test_stranger_in_a_privileged_stage_is_denied if {
	found := untrusted_checkout.deny with input as document(checkout({}), true)
	found == {{
		"message": "build has secrets or a token that writes, and checks out a stranger's code, which runs with make test",
		"at": ["checkouts", 0],
		"confidence": "high",
		"related": [
			{"message": "what runs of it", "at": ["effects", 3]},
			{"message": "the stage that is privileged", "at": ["stages", 1]},
		],
	}}
}

test_code_that_is_not_seen_to_run_is_denied_with_less_confidence if {
	found := untrusted_checkout.deny with input as document(checkout({"runs": "", "runs_at": []}), true)
	some violation in found
	violation.confidence == "medium"
	count(found) == 1
}

test_code_in_a_folder_of_its_own_is_fine_until_it_runs_and_then_denied if {
	count(untrusted_checkout.deny) == 0 with input as document(checkout({"path": "change", "runs": ""}), true)
	count(untrusted_checkout.deny) == 1 with input as document(checkout({"path": "change"}), true)
}

test_setting_of_azure_decides_and_it_is_denied_with_less_confidence if {
	found := untrusted_checkout.deny with input as in_system("azure", checkout({}), true)
	some violation in found
	violation.confidence == "medium"
	count(untrusted_checkout.deny) == 0 with input as in_system("azure", checkout({"runs": ""}), true)
}

test_stranger_in_a_stage_without_powers_is_fine if {
	count(untrusted_checkout.deny) == 0 with input as document(checkout({}), false)
}

test_own_code_in_a_privileged_stage_is_fine if {
	count(untrusted_checkout.deny) == 0 with input as document(checkout({"untrusted": false}), true)
}

test_what_a_member_had_in_hands_is_fine if {
	every guard in ["same-repository", "merged", "event", "protected"] {
		count(untrusted_checkout.deny) == 0 with input as document(checkout({"guards": [guard], "mutable": true}), true)
	}
}

test_what_a_member_let_pass_is_fine if {
	every guard in ["approval", "label", "actor", "association", "permission"] {
		count(untrusted_checkout.deny) == 0 with input as document(checkout({"guards": [guard]}), true)
	}
}

test_a_comment_alone_lets_nobody_pass_and_is_denied if {
	count(untrusted_checkout.deny) == 1 with input as document(checkout({"guards": ["comment"]}), true)
}

test_nothing_is_fine if {
	count(untrusted_checkout.deny) == 0 with input as {"checkouts": [], "stages": []}
}
