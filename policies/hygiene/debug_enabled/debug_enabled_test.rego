package policyd.hygiene.debug_enabled_test

import data.policyd.hygiene.debug_enabled

effect(fields) := object.union(
	{
		"at": ["effects", 0], "stage": "build", "kind": "", "program": "", "text": "", "detail": "",
		"untrusted": false, "computed": false, "secret": false, "guards": [], "confidence": "high",
	},
	fields,
)

document(one) := with_secret(one, "deploy")

with_secret(one, stage) := {
	"effects": [one],
	"secrets": [{
		"name": "TOKEN", "all": false, "inherited": false, "sink": "environment", "at": ["secrets", 0], "stage": stage,
	}],
}

test_debug_variable_is_denied if {
	found := debug_enabled.deny with input as document(effect({"kind": "debug", "detail": "ACTIONS_STEP_DEBUG"}))
	found == {{"message": "ACTIONS_STEP_DEBUG writes more to the log than may be read there", "at": ["effects", 0]}}
}

test_trace_with_secrets_is_denied if {
	count(debug_enabled.deny) == 1 with input as with_secret(effect({"kind": "debug", "program": "set"}), "build")
}

test_trace_with_secrets_of_the_pipeline_is_denied if {
	count(debug_enabled.deny) == 1 with input as with_secret(effect({"kind": "debug", "program": "set"}), "")
}

test_trace_beside_secrets_of_another_stage_is_fine if {
	count(debug_enabled.deny) == 0 with input as document(effect({"kind": "debug", "program": "set"}))
}

test_other_effect_is_fine if {
	count(debug_enabled.deny) == 0 with input as document(effect({"kind": "build", "program": "make", "detail": "make"}))
}

test_nothing_is_fine if {
	count(debug_enabled.deny) == 0 with input as object.union(document(effect({})), {"effects": []})
}
