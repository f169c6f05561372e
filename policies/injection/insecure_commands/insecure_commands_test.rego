package policyd.injection.insecure_commands_test

import data.policyd.injection.insecure_commands

effect(fields) := object.union(
	{
		"at": ["effects", 0], "stage": "build", "kind": "", "program": "", "text": "", "detail": "",
		"untrusted": false, "computed": false, "secret": false, "guards": [], "confidence": "high",
	},
	fields,
)

document(one) := {"effects": [one]}

test_log_that_sets_the_environment_is_denied if {
	found := insecure_commands.deny with input as document(effect({"kind": "log-commands", "detail": "ACTIONS_ALLOW_UNSECURE_COMMANDS"}))
	found == {{"message": "log lines may set the environment of later steps", "at": ["effects", 0]}}
}

test_other_effect_is_fine if {
	count(insecure_commands.deny) == 0 with input as document(effect({"kind": "build", "program": "make", "detail": "make"}))
}

test_nothing_is_fine if {
	count(insecure_commands.deny) == 0 with input as object.union(document(effect({})), {"effects": []})
}
