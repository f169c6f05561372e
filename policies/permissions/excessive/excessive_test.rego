package policyd.permissions.excessive_test

import data.policyd.permissions.excessive

permission(scope, access, level, explicit) := {
	"scope": scope, "access": access, "level": level, "explicit": explicit, "at": ["permissions", 0], "stage": "a",
}

document(permissions, stages) := {
	"permissions": permissions,
	"stages": array.slice([{"name": "a"}, {"name": "b"}], 0, stages),
}

write_all := [permission(scope, "write", "pipeline", true) |
	some scope in [
		"actions", "attestations", "checks", "contents", "deployments", "id-token", "issues", "packages", "pages",
		"pull-requests", "security-events", "statuses",
	]
]

denied(given) if {
	count(excessive.deny) == 1 with input as given
}

fine(given) if {
	count(excessive.deny) == 0 with input as given
}

test_write_all_is_denied_once if {
	found := excessive.deny with input as document(write_all, 2)
	found == {{"message": "the token may write everything", "at": ["permissions", 0]}}
}

test_write_all_is_denied_for_one_job if denied(document(write_all, 1))

test_write_for_every_job_is_denied if denied(document([permission("contents", "write", "pipeline", true)], 2))

test_write_for_the_only_job_is_fine if fine(document([permission("contents", "write", "pipeline", true)], 1))

test_write_for_one_job_is_fine if fine(document([permission("contents", "write", "stage", true)], 2))

test_read_is_fine if fine(document([permission("contents", "read", "pipeline", true)], 2))

test_what_the_file_does_not_say_is_another_rule if {
	fine(document([permission("contents", "write", "pipeline", false)], 2))
}

test_nothing_is_fine if fine({"permissions": [], "stages": []})

test_allowed_scope_is_fine_for_every_job if {
	given := document([permission("statuses", "write", "pipeline", true)], 2)
	count(excessive.deny) == 1 with input as given
	count(excessive.deny) == 0 with input as given
		with data.policyd.settings.permissions.excessive.allowed_scopes as ["statuses"]
}
