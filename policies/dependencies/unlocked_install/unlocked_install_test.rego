package policyd.dependencies.unlocked_install_test

import data.policyd.dependencies.unlocked_install

effect(fields) := object.union(
	{
		"at": ["effects", 0], "stage": "build", "kind": "", "program": "", "text": "", "detail": "",
		"untrusted": false, "computed": false, "secret": false, "guards": [], "confidence": "high",
	},
	fields,
)

document(one) := {"effects": [one]}

test_package_by_name_is_denied if {
	found := unlocked_install.deny with input as document(effect({"kind": "unlocked-install", "program": "pip", "detail": "requests"}))
	found == {{"message": "pip installs requests by name, not from a lock file", "at": ["effects", 0]}}
}

test_other_effect_is_fine if {
	count(unlocked_install.deny) == 0 with input as document(effect({"kind": "build", "program": "make", "detail": "make"}))
}

test_nothing_is_fine if {
	count(unlocked_install.deny) == 0 with input as object.union(document(effect({})), {"effects": []})
}
