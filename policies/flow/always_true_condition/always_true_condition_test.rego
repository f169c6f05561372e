package policyd.flow.always_true_condition_test

import data.policyd.flow.always_true_condition

condition(always_true) := {
	"text": "${{ a }} && ${{ b }}", "always_true": always_true, "spoofable_actor": false, "at": ["conditions", 0],
	"stage": "deploy",
}

test_condition_that_is_always_true_is_denied if {
	found := always_true_condition.deny with input.conditions as [condition(true)]
	found == {{"message": "the condition ${{ a }} && ${{ b }} is always true", "at": ["conditions", 0]}}
}

test_other_condition_is_fine if {
	count(always_true_condition.deny) == 0 with input.conditions as [condition(false)]
}

test_no_condition_is_fine if {
	count(always_true_condition.deny) == 0 with input.conditions as []
}
