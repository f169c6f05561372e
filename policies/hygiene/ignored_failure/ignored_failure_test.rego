package policyd.hygiene.ignored_failure_test

import data.policyd.hygiene.ignored_failure

effect(fields) := object.union(
	{
		"at": ["effects", 0], "stage": "build", "kind": "", "program": "", "text": "", "detail": "",
		"untrusted": false, "computed": false, "secret": false, "guards": [], "confidence": "high",
	},
	fields,
)

document(one) := {"effects": [one]}

setting := effect({"kind": "ignores-failure", "detail": "allow_failure", "text": "allow_failure: true"})

test_ignored_failure_is_denied if {
	found := ignored_failure.deny with input as document(effect({"kind": "ignores-failure", "program": "pytest", "detail": "|| true"}))
	found == {{"message": "a failure of pytest is ignored: || true", "at": ["effects", 0]}}
}

test_test_that_counts_is_fine if {
	count(ignored_failure.deny) == 0 with input as document(effect({"kind": "test", "program": "pytest"}))
}

test_setting_of_a_stage_that_tests_is_denied if {
	found := ignored_failure.deny with input as {"effects": [setting, effect({"kind": "test", "program": "pytest"})]}
	found == {{"message": "a failure of build is ignored: allow_failure: true", "at": ["effects", 0]}}
}

test_setting_of_another_stage_is_fine if {
	count(ignored_failure.deny) == 0 with input as {"effects": [setting, effect({"kind": "scan", "stage": "scan"})]}
}

test_other_effect_is_fine if {
	count(ignored_failure.deny) == 0 with input as document(effect({"kind": "build", "program": "make", "detail": "make"}))
}

test_nothing_is_fine if {
	count(ignored_failure.deny) == 0 with input as object.union(document(effect({})), {"effects": []})
}
