package policyd.permissions.unstated_test

import data.policyd.permissions.unstated

permission(access, explicit, index) := {
	"scope": "contents", "access": access, "level": "pipeline", "explicit": explicit, "at": ["permissions", index],
	"stage": "",
}

test_default_is_denied_once if {
	found := unstated.deny with input.permissions as [
		permission("read", true, 0),
		permission("write", false, 1),
		permission("write", false, 2),
	]
	found == {{"message": "nothing says what the token may do, so it may do what the default is", "at": ["permissions", 1]}}
}

test_stated_permission_is_fine if {
	count(unstated.deny) == 0 with input.permissions as [permission("write", true, 0)]
}

test_default_that_reads_is_fine if {
	count(unstated.deny) == 0 with input.permissions as [permission("read", false, 0)]
}

test_no_permission_is_fine if {
	count(unstated.deny) == 0 with input.permissions as []
}
