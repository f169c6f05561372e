package policyd.flow.substring_condition_test

import data.policyd.flow.substring_condition

document(dialect, substring, purposes) := {
	"pipeline": {"dialect": dialect},
	"conditions": [{"at": ["conditions", 0], "stage": "deploy", "text": "c", "substring": substring}],
	"stages": [{"at": ["stages", 0], "name": "deploy", "purposes": purposes}],
}

test_part_of_a_text_is_denied if {
	found := substring_condition.deny with input as document("github", true, [])
	found == {{
		"message": "the condition c also holds for names that only contain the right one, or are part of it",
		"at": ["conditions", 0],
	}}
}

test_pattern_without_ends_is_denied_where_it_matters if {
	count(substring_condition.deny) == 1 with input as document("gitlab", true, ["deploy"])
}

test_pattern_without_ends_is_fine_elsewhere if {
	count(substring_condition.deny) == 0 with input as document("gitlab", true, ["test"])
}

test_whole_name_is_fine if {
	count(substring_condition.deny) == 0 with input as document("github", false, [])
}
