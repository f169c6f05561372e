package policyd.credentials.secret_sent_test

import data.policyd.credentials.secret_sent

document(fields) := {"effects": [object.union(
	{
		"at": ["effects", 0], "stage": "build", "kind": "secret-send", "program": "curl", "text": "", "detail": "host.example",
		"untrusted": false, "computed": false, "secret": true, "guards": [], "confidence": "medium",
	},
	fields,
)]}

test_secret_in_a_request_is_denied if {
	found := secret_sent.deny with input as document({})
	found == {{"message": "curl sends a secret: host.example", "at": ["effects", 0], "confidence": "medium"}}
}

test_environment_in_a_request_is_denied if {
	found := secret_sent.deny with input as document({"kind": "environment-send", "secret": false})
	found == {{"message": "curl sends the whole environment: host.example", "at": ["effects", 0]}}
}

test_other_effect_is_fine if {
	count(secret_sent.deny) == 0 with input as document({"kind": "secret-argument"})
}

test_nothing_is_fine if {
	count(secret_sent.deny) == 0 with input as {"effects": []}
}
