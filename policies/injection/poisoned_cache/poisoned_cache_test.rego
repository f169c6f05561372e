package policyd.injection.poisoned_cache_test

import data.policyd.injection.poisoned_cache

document(dialect, fields) := with_stage(dialect, fields, ["publish"])

with_stage(dialect, fields, purposes) := {
	"pipeline": {"dialect": dialect},
	"triggers": [{"at": ["triggers", 0], "event": "push", "trust": "internal", "privileged": false, "branches": []}],
	"stages": [{"at": ["stages", 0], "name": "release", "purposes": purposes}],
	"artifacts": [],
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

test_cache_beside_a_release_is_fine if {
	count(poisoned_cache.deny) == 0 with input as with_stage("github", {}, ["test"])
}

started_by(triggers) := object.union(with_stage("github", {}, []), {"triggers": triggers})

tag := {"event": "push", "trust": "internal", "privileged": false, "branches": ["refs/tags/v*"]}

branch := {"event": "push", "trust": "internal", "privileged": false, "branches": ["refs/tags/v*", "main"]}

test_cache_of_what_only_tags_start_is_denied if {
	count(poisoned_cache.deny) == 1 with input as started_by([tag])
}

test_cache_of_what_branches_start_too_is_fine if {
	count(poisoned_cache.deny) == 0 with input as started_by([branch])
	pull := {"event": "pull_request", "trust": "untrusted", "privileged": false, "branches": []}
	count(poisoned_cache.deny) == 0 with input as started_by([tag, pull])
}

test_cache_of_what_is_handed_on_is_denied if {
	upload := {"stage": "release", "direction": "upload"}
	count(poisoned_cache.deny) == 1 with input as object.union(with_stage("github", {}, []), {"artifacts": [upload]})
}

test_cache_of_a_tool_is_fine if {
	count(poisoned_cache.deny) == 0 with input as document("github", {"text": "docker/setup-buildx-action@v3"})
}

test_pull_request_that_can_release_nothing_is_fine if {
	triggers := [{"at": ["triggers", 0], "event": "pull_request", "trust": "untrusted", "privileged": false}]
	count(poisoned_cache.deny) == 0 with input as object.union(document("github", {}), {"triggers": triggers})
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
	count(poisoned_cache.deny) == 0 with input as object.union(document("github", {}), {"caches": []})
}
