package policyd.injection.deprecated_command_test

import data.policyd.injection.deprecated_command

effect(fields) := object.union(
	{
		"at": ["effects", 0], "stage": "build", "kind": "", "program": "", "text": "", "detail": "",
		"untrusted": false, "computed": false, "secret": false, "guards": [], "confidence": "high",
	},
	fields,
)

document(one) := {"effects": [one]}

test_withdrawn_command_is_denied if {
	found := deprecated_command.deny with input as document(effect({"kind": "deprecated-command", "program": "echo", "detail": "set-output"}))
	found == {{"message": "echo uses the withdrawn workflow command set-output", "at": ["effects", 0]}}
}

test_other_effect_is_fine if {
	count(deprecated_command.deny) == 0 with input as document(effect({"kind": "build", "program": "make", "detail": "make"}))
}

test_nothing_is_fine if {
	count(deprecated_command.deny) == 0 with input as object.union(document(effect({})), {"effects": []})
}
