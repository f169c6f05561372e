package policyd.integrity.tls_verification_disabled_test

import data.policyd.integrity.tls_verification_disabled

effect(fields) := object.union(
	{
		"at": ["effects", 0], "stage": "build", "kind": "", "program": "", "text": "", "detail": "",
		"untrusted": false, "computed": false, "secret": false, "guards": [], "confidence": "high",
	},
	fields,
)

document(one) := {"effects": [one]}

test_option_is_denied if {
	found := tls_verification_disabled.deny with input as document(effect({"kind": "tls-off", "program": "curl", "detail": "-k"}))
	found == {{"message": "curl is told not to verify certificates: -k", "at": ["effects", 0], "confidence": "high"}}
}

test_variable_is_denied if {
	found := tls_verification_disabled.deny with input as document(effect({"kind": "tls-off", "detail": "GIT_SSL_NO_VERIFY"}))
	found == {{"message": "GIT_SSL_NO_VERIFY switches the verification of certificates off", "at": ["effects", 0], "confidence": "high"}}
}

test_confidence_is_that_of_the_effect if {
	found := tls_verification_disabled.deny with input as document(effect({"kind": "tls-off", "program": "ssh", "detail": "x", "confidence": "low"}))
	found == {{"message": "ssh is told not to verify certificates: x", "at": ["effects", 0], "confidence": "low"}}
}

test_other_effect_is_fine if {
	count(tls_verification_disabled.deny) == 0 with input as document(effect({"kind": "build", "program": "make", "detail": "make"}))
}

test_nothing_is_fine if {
	count(tls_verification_disabled.deny) == 0 with input as object.union(document(effect({})), {"effects": []})
}
