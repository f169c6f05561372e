package policyd.flow.spoofable_condition_test

import data.policyd.flow.spoofable_condition

document(spoofable, privileged) := {
	"pipeline": {"dialect": "github"},
	"conditions": [condition(spoofable)],
	"triggers": [{"at": ["triggers", 0], "event": "e", "trust": "untrusted", "privileged": privileged}],
}

condition(spoofable) := {
	"text": "github.actor == 'dependabot[bot]'", "spoofable_actor": spoofable, "at": ["conditions", 0], "stage": "merge",
}

test_actor_is_denied if {
	found := spoofable_condition.deny with input as document(true, true)
	found == {{
		"message": "the condition github.actor == 'dependabot[bot]' trusts a name that a stranger can take",
		"at": ["conditions", 0],
		"confidence": "high",
	}}
}

test_actor_where_strangers_get_no_powers_is_denied_with_less_confidence if {
	found := spoofable_condition.deny with input as document(true, false)
	some violation in found
	violation.confidence == "medium"
}

test_other_condition_is_fine if {
	count(spoofable_condition.deny) == 0 with input as document(false, true)
}

test_no_condition_is_fine if {
	count(spoofable_condition.deny) == 0 with input as {"conditions": [], "triggers": []}
}
