package policyd.permissions.token_in_untrusted_test

import data.policyd.permissions.token_in_untrusted

document(fields) := {
	"pipeline": {"dialect": "azure"},
	"stages": [object.union(
		{
			"at": ["stages", 0], "name": "test", "untrusted": true, "privileged": true, "writes": true, "guards": [],
		},
		fields,
	)],
	"secrets": [{"at": ["secrets", 0], "stage": "test", "name": "TOKEN"}],
}

test_secret_in_what_strangers_start_is_denied if {
	found := token_in_untrusted.deny with input as document({})
	found == {{
		"message": "test, which strangers can start, gets TOKEN", "at": ["secrets", 0], "confidence": "medium",
	}}
}

test_account_without_a_secret_is_denied if {
	found := token_in_untrusted.deny with input as object.union(document({}), {"secrets": []})
	found == {{
		"message": "test, which strangers can start, runs with an account that can change things",
		"at": ["stages", 0],
		"confidence": "medium",
	}}
}

test_account_that_changes_nothing_is_fine if {
	count(token_in_untrusted.deny) == 0 with input as object.union(document({"writes": false}), {"secrets": []})
}

test_what_members_start_is_fine if {
	count(token_in_untrusted.deny) == 0 with input as document({"untrusted": false})
}

test_what_is_kept_from_strangers_is_fine if {
	count(token_in_untrusted.deny) == 0 with input as document({"privileged": false})
}

test_own_repository_is_fine if {
	count(token_in_untrusted.deny) == 0 with input as document({"guards": ["same-repository"]})
}

test_approval_lowers_the_confidence if {
	some violation in token_in_untrusted.deny with input as document({"guards": ["approval"]})
	violation.confidence == "low"
}

gitlab(fields) := object.union(document(fields), {"pipeline": {"dialect": "gitlab"}})

test_on_gitlab_only_what_deploys_or_publishes_counts if {
	count(token_in_untrusted.deny) == 0 with input as gitlab({"purposes": ["scan", "test"]})
	count(token_in_untrusted.deny) == 1 with input as gitlab({"purposes": ["deploy"]})
	count(token_in_untrusted.deny) == 0 with input as gitlab({"purposes": ["deploy"], "guards": ["approval"]})
}

tekton(fields) := object.union(document({}), object.union({"pipeline": {"dialect": "tekton"}}, fields))

test_on_tekton_a_checkout_that_is_named_says_it if {
	checkout := {"untrusted": true, "path": "", "runs": "make", "guards": []}
	count(token_in_untrusted.deny) == 0 with input as tekton({"checkouts": [checkout], "triggers": []})
	count(token_in_untrusted.deny) == 1 with input as tekton({"checkouts": [], "triggers": [{"authenticated": true}]})
}

test_on_tekton_a_trigger_that_anyone_can_call_says_it if {
	count(token_in_untrusted.deny) == 0 with input as tekton({"checkouts": [], "triggers": [{"authenticated": false}]})
}

test_secret_of_a_guarded_step_is_fine if {
	secret := {"at": ["secrets", 0], "stage": "test", "name": "TOKEN", "guards": ["same-repository"]}
	count(token_in_untrusted.deny) == 0 with input as object.union(document({"writes": false}), {"secrets": [secret]})
}

test_account_is_left_to_the_checkout_whose_code_runs_with_it if {
	more := {"secrets": [], "checkouts": [{"stage": "test", "untrusted": true, "runs": "make"}]}
	count(token_in_untrusted.deny) == 0 with input as object.union(document({}), more)
}
