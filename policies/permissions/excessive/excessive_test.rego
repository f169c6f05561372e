package policyd.permissions.excessive_test

import data.policyd.permissions.excessive

document(scope, access, level, explicit, stages) := {
	"permissions": [{
		"scope": scope, "access": access, "level": level, "explicit": explicit, "at": ["permissions", 0], "stage": "",
	}],
	"stages": array.slice([{"name": "a"}, {"name": "b"}], 0, stages),
}

denied(given) if {
	count(excessive.deny) == 1 with input as given
}

fine(given) if {
	count(excessive.deny) == 0 with input as given
}

test_write_all_is_denied if denied(document("*", "write", "stage", true, 1))

test_write_for_every_job_is_denied if denied(document("contents", "write", "pipeline", true, 2))

test_write_for_the_only_job_is_fine if fine(document("contents", "write", "pipeline", true, 1))

test_write_for_one_job_is_fine if fine(document("contents", "write", "stage", true, 2))

test_read_is_fine if fine(document("contents", "read", "pipeline", true, 2))

test_what_the_file_does_not_say_is_another_rule if fine(document("contents", "write", "pipeline", false, 2))

test_nothing_is_fine if fine({"permissions": [], "stages": []})
