package policyd.hygiene.missing_timeout_test

import data.policyd.hygiene.missing_timeout

stage(explicit, seconds) := {
	"at": ["stages", 0], "name": "build", "explicit_timeout": explicit, "timeout_seconds": seconds,
}

test_no_limit_is_denied if {
	found := missing_timeout.deny with input.stages as [stage(false, null)]
	found == {{"message": "build has no time limit of its own", "at": ["stages", 0]}}
}

test_long_default_is_denied if {
	count(missing_timeout.deny) == 1 with input.stages as [stage(false, 21600)]
}

test_short_default_is_fine if {
	count(missing_timeout.deny) == 0 with input.stages as [stage(false, 600)]
}

test_stated_limit_is_fine if {
	count(missing_timeout.deny) == 0 with input.stages as [stage(true, 21600)]
}

test_no_stage_is_fine if {
	count(missing_timeout.deny) == 0 with input.stages as []
}
