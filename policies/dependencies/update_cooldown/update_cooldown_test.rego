package policyd.dependencies.update_cooldown_test

import data.policyd.dependencies.update_cooldown

document(update) := {
	"pipeline": {"kind": "settings"},
	"document": {"version": 2, "updates": [object.union({"package-ecosystem": "pip"}, update)]},
}

test_no_or_a_short_cooldown_is_denied if {
	found := update_cooldown.deny with input as document({})
	at := ["document", "updates", 0, "package-ecosystem"]
	found == {{"message": "updates of pip wait less than 7 days", "at": at}}
	every cooldown in [{}, {"default-days": 3}, {"default-days": "7"}, {"semver-major-days": 30}] {
		count(update_cooldown.deny) == 1 with input as document({"cooldown": cooldown})
	}
}

test_long_cooldown_is_fine if {
	count(update_cooldown.deny) == 0 with input as document({"cooldown": {"default-days": 7}})
	count(update_cooldown.deny) == 1 with input as document({"cooldown": {"default-days": 7}})
		with data.policyd.settings.dependencies.update_cooldown.min_days as 14
}

test_ecosystem_without_version_updates_is_fine if {
	count(update_cooldown.deny) == 0 with input as document({"open-pull-requests-limit": 0})
}

test_pipelines_are_something_else if {
	count(update_cooldown.deny) == 0 with input as object.union(document({}), {"pipeline": {"kind": "workflow"}})
}
