package policyd.injection.environment_file_write_test

import data.policyd.injection.environment_file_write

effect(fields) := object.union(
	{
		"at": ["effects", 0], "stage": "build", "kind": "", "program": "", "text": "", "detail": "",
		"untrusted": false, "computed": false, "secret": false, "guards": [], "confidence": "high",
	},
	fields,
)

document(one) := privileged(one, false)

privileged(one, is_privileged) := {
	"effects": [one],
	"stages": [{"at": ["stages", 0], "name": "build", "untrusted": true, "privileged": is_privileged}],
}

test_stranger_in_the_environment_is_denied if {
	found := environment_file_write.deny with input as document(effect({"kind": "environment-write", "program": "echo", "detail": "GITHUB_ENV", "untrusted": true}))
	found == {{"message": "text of a stranger is written to GITHUB_ENV", "at": ["effects", 0]}}
}

test_computed_text_in_a_privileged_stage_is_denied if {
	found := environment_file_write.deny with input as privileged(effect({"kind": "environment-write", "program": "echo", "detail": "GITHUB_ENV", "computed": true}), true)
	some violation in found
	violation.confidence == "medium"
	count(found) == 1
}

test_computed_text_without_powers_is_fine if {
	count(environment_file_write.deny) == 0 with input as document(effect({"kind": "environment-write", "program": "echo", "detail": "GITHUB_ENV", "computed": true}))
}

test_fixed_text_is_fine if {
	count(environment_file_write.deny) == 0 with input as privileged(effect({"kind": "environment-write", "program": "echo", "detail": "GITHUB_ENV"}), true)
}

test_output_is_fine if {
	count(environment_file_write.deny) == 0 with input as privileged(effect({"kind": "output-write", "untrusted": true, "computed": true}), true)
}

test_other_effect_is_fine if {
	count(environment_file_write.deny) == 0 with input as document(effect({"kind": "build", "program": "make", "detail": "make"}))
}

test_nothing_is_fine if {
	count(environment_file_write.deny) == 0 with input as object.union(document(effect({})), {"effects": []})
}
