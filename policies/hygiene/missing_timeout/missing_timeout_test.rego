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

test_the_longest_time_is_a_setting if {
	count(missing_timeout.deny) == 1 with input.stages as [stage(false, 1200)]
		with data.policyd.settings.hygiene.missing_timeout.max_minutes as 10
}

test_stated_limit_above_what_is_allowed_is_denied if {
	found := missing_timeout.deny with input.stages as [stage(true, 21600)]
		with data.policyd.settings.hygiene.missing_timeout.max_stated_minutes as 60
	found == {{"message": "build may run longer than 60 minutes", "at": ["stages", 0]}}
}

test_the_longest_stated_limit_is_fine if {
	count(missing_timeout.deny) == 0 with input.stages as [stage(true, 3600)]
		with data.policyd.settings.hygiene.missing_timeout.max_stated_minutes as 60
}
