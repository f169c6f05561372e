package policyd.injection.dangerous_variable_test

import data.policyd.injection.dangerous_variable

effect(fields) := object.union(
	{
		"at": ["effects", 0], "stage": "build", "kind": "", "program": "", "text": "", "detail": "",
		"untrusted": false, "computed": false, "secret": false, "guards": [], "confidence": "high",
	},
	fields,
)

document(one) := {"effects": [one], "variables": []}

test_variable_is_denied if {
	found := dangerous_variable.deny with input as document(effect({"kind": "loads-code", "text": "LD_PRELOAD", "detail": "makes every program load a library first"}))
	found == {{"message": "LD_PRELOAD makes every program load a library first", "at": ["effects", 0]}}
}

test_variable_set_by_a_command_is_denied if {
	found := dangerous_variable.deny with input as document(effect({"kind": "loads-code", "program": "export", "text": "export BASH_ENV=x", "detail": "makes every shell run a file first"}))
	found == {{"message": "a variable that export sets makes every shell run a file first", "at": ["effects", 0]}}
}

test_other_effect_is_fine if {
	count(dangerous_variable.deny) == 0 with input as document(effect({"kind": "build", "program": "make", "detail": "make"}))
}

test_nothing_is_fine if {
	count(dangerous_variable.deny) == 0 with input as object.union(document(effect({})), {"effects": []})
}

variable(name) := {
	"effects": [],
	"variables": [{
		"name": name, "value": "x", "literal": true, "origin": "environment", "at": ["variables", 0], "stage": "",
		"untrusted": false, "secret": false,
	}],
}

test_variable_that_settings_name_is_denied if {
	found := dangerous_variable.deny with input as variable("COMPANY_MIRROR")
		with data.policyd.settings.injection.dangerous_variable.more_variables as ["COMPANY_MIRROR"]
	found == {{"message": "COMPANY_MIRROR may not be set here", "at": ["variables", 0]}}
}

test_other_variable_is_fine if {
	count(dangerous_variable.deny) == 0 with input as variable("COMPANY_MIRROR")
}
