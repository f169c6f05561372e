package policyd.flow.spoofable_condition_test

import data.policyd.flow.spoofable_condition

condition(spoofable) := {
	"text": "github.actor == 'dependabot[bot]'", "spoofable_actor": spoofable, "at": ["conditions", 0], "stage": "merge",
}

test_actor_is_denied if {
	found := spoofable_condition.deny with input.conditions as [condition(true)]
	found == {{
		"message": "the condition github.actor == 'dependabot[bot]' trusts a name that a stranger can take",
		"at": ["conditions", 0],
	}}
}

test_other_condition_is_fine if {
	count(spoofable_condition.deny) == 0 with input.conditions as [condition(false)]
}

test_no_condition_is_fine if {
	count(spoofable_condition.deny) == 0 with input.conditions as []
}
