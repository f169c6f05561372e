package policyd.injection.shared_cache_write_test

import data.policyd.injection.shared_cache_write

cache(fields) := object.union(
	{"at": ["caches", 0], "stage": "test", "key": "npm", "restores": true, "saves": true, "untrusted": true, "publishes": false},
	fields,
)

checkout(fields) := object.union(
	{
		"at": ["checkouts", 0], "stage": "test", "untrusted": true, "mutable": false, "guards": [], "runs": "make",
		"runs_at": ["effects", 0],
	},
	fields,
)

trigger(privileged) := {"at": ["triggers", 0], "event": "e", "trust": "untrusted", "privileged": privileged}

document(caches, checkouts, triggers) := {
	"pipeline": {"dialect": "github"},
	"caches": caches,
	"checkouts": checkouts,
	"triggers": triggers,
	"stages": [{"at": ["stages", 0], "name": "test", "untrusted": true, "privileged": false}],
}

test_cache_that_strangers_write_is_denied if {
	found := shared_cache_write.deny with input as document([cache({})], [], [])
	found == {{
		"message": "the cache that test saves can hold what a stranger's code left, and other branches restore it",
		"at": ["caches", 0],
		"confidence": "high",
	}}
}

test_cache_that_is_only_restored_is_fine if {
	count(shared_cache_write.deny) == 0 with input as document([cache({"saves": false})], [], [])
}

test_cache_that_members_write_is_fine if {
	count(shared_cache_write.deny) == 0 with input as document([cache({"untrusted": false})], [], [])
}

test_code_that_runs_in_the_scope_of_the_default_branch_is_denied if {
	found := shared_cache_write.deny with input as document([], [checkout({})], [trigger(true)])
	some violation in found
	violation.at == ["checkouts", 0]
	violation.confidence == "medium"
}

test_code_that_may_run_in_a_scope_of_its_own_is_fine if {
	count(shared_cache_write.deny) == 0 with input as document([], [checkout({})], [trigger(true), trigger(false)])
	count(shared_cache_write.deny) == 0 with input as document([], [checkout({})], [])
}

test_code_that_does_not_run_or_was_let_pass_is_fine if {
	count(shared_cache_write.deny) == 0 with input as document([], [checkout({"runs": ""})], [trigger(true)])
	count(shared_cache_write.deny) == 0 with input as document([], [checkout({"guards": ["label"]})], [trigger(true)])
}
