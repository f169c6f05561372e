package policyd.credentials.secret_in_argument_test

import data.policyd.credentials.secret_in_argument

document(kind) := {"effects": [{
	"at": ["effects", 0], "stage": "build", "kind": kind, "program": "docker", "text": "", "detail": "docker",
	"untrusted": false, "computed": false, "secret": true, "guards": [], "confidence": "high",
}]}

test_secret_as_an_argument_is_denied if {
	found := secret_in_argument.deny with input as document("secret-argument")
	found == {{"message": "docker gets a secret as an argument", "at": ["effects", 0], "confidence": "high"}}
}

test_other_effect_is_fine if {
	count(secret_in_argument.deny) == 0 with input as document("build")
}

test_nothing_is_fine if {
	count(secret_in_argument.deny) == 0 with input as {"effects": []}
}
