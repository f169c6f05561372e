package policyd.integrity.signature_check_disabled_test

import data.policyd.integrity.signature_check_disabled

effect(fields) := object.union(
	{
		"at": ["effects", 0], "stage": "build", "kind": "", "program": "", "text": "", "detail": "",
		"untrusted": false, "computed": false, "secret": false, "guards": [], "confidence": "high",
	},
	fields,
)

document(one) := {"effects": [one]}

test_option_is_denied if {
	found := signature_check_disabled.deny with input as document(effect({"kind": "signature-off", "program": "apk", "detail": "--allow-untrusted"}))
	found == {{"message": "apk is told to install what it can't verify: --allow-untrusted", "at": ["effects", 0], "confidence": "high"}}
}

test_variable_is_denied if {
	found := signature_check_disabled.deny with input as document(effect({"kind": "signature-off", "detail": "GOSUMDB"}))
	found == {{"message": "GOSUMDB switches the check of signatures or checksums off", "at": ["effects", 0], "confidence": "high"}}
}

test_other_effect_is_fine if {
	count(signature_check_disabled.deny) == 0 with input as document(effect({"kind": "build", "program": "make", "detail": "make"}))
}

test_nothing_is_fine if {
	count(signature_check_disabled.deny) == 0 with input as object.union(document(effect({})), {"effects": []})
}
