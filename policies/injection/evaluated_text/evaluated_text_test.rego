package policyd.injection.evaluated_text_test

import data.policyd.injection.evaluated_text

effect(fields) := object.union(
	{
		"at": ["effects", 0], "stage": "build", "kind": "", "program": "", "text": "", "detail": "",
		"untrusted": false, "computed": false, "secret": false, "guards": [], "confidence": "high",
	},
	fields,
)

document(one) := {"effects": [one]}

test_variable_run_as_code_is_denied if {
	found := evaluated_text.deny with input as document(effect({"kind": "evaluates", "program": "eval", "detail": "$CMD", "confidence": "medium"}))
	found == {{"message": "eval runs text that is only known when it runs: $CMD", "at": ["effects", 0], "confidence": "medium"}}
}

test_computed_text_of_a_stranger_is_denied if {
	found := evaluated_text.deny with input as document(effect({"kind": "evaluates", "program": "eval", "detail": "$X", "computed": true, "untrusted": true}))
	found == {{"message": "eval runs text that is only known when it runs: $X", "at": ["effects", 0], "confidence": "high"}}
}

test_output_of_a_tool_is_fine if {
	count(evaluated_text.deny) == 0 with input as document(effect({"kind": "evaluates", "program": "eval", "detail": "$(ssh-agent -s)", "computed": true}))
}

test_other_effect_is_fine if {
	count(evaluated_text.deny) == 0 with input as document(effect({"kind": "build", "program": "make", "detail": "make"}))
}

test_nothing_is_fine if {
	count(evaluated_text.deny) == 0 with input as object.union(document(effect({})), {"effects": []})
}
