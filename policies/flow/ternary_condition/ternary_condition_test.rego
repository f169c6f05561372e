package policyd.flow.ternary_condition_test

import data.policyd.flow.ternary_condition

fact(ternary) := {"at": ["expressions", 0], "stage": "build", "text": "${{ a && '' || 'x' }}", "ternary": ternary}

test_choice_that_is_none_is_denied if {
	found := ternary_condition.deny with input as {"expressions": [fact(true)], "conditions": []}
	found == {{
		"message": "${{ a && '' || 'x' }} always yields its last value: what stands after `&&` counts as false",
		"at": ["expressions", 0],
	}}
}

test_condition_that_is_no_choice_is_denied if {
	count(ternary_condition.deny) == 1 with input as {"expressions": [], "conditions": [fact(true)]}
}

test_choice_is_fine if {
	count(ternary_condition.deny) == 0 with input as {"expressions": [fact(false)], "conditions": [fact(false)]}
}
