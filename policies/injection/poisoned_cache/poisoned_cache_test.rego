package policyd.injection.poisoned_cache_test

import data.policyd.injection.poisoned_cache

document(dialect, fields) := {
	"pipeline": {"dialect": dialect},
	"caches": [object.union(
		{
			"at": ["caches", 0], "stage": "release", "text": "actions/cache@v4", "restores": true, "saves": true,
			"untrusted": false, "publishes": true,
		},
		fields,
	)],
}

test_cache_in_a_release_is_denied if {
	found := poisoned_cache.deny with input as document("github", {})
	found == {{
		"message": "release releases what it makes, and restores a cache that other runs write (actions/cache@v4)",
		"at": ["caches", 0],
	}}
}

test_cache_that_is_only_saved_is_fine if {
	count(poisoned_cache.deny) == 0 with input as document("github", {"restores": false})
}

test_cache_of_a_stage_that_releases_nothing_is_fine if {
	count(poisoned_cache.deny) == 0 with input as document("github", {"publishes": false})
}

test_caches_that_gitlab_keeps_apart_are_fine_and_shared_ones_denied if {
	count(poisoned_cache.deny) == 0 with input as document("gitlab", {})
	count(poisoned_cache.deny) == 1 with input as document("gitlab", {"untrusted": true})
}

test_no_cache_is_fine if {
	count(poisoned_cache.deny) == 0 with input as {"pipeline": {"dialect": "github"}, "caches": []}
}
