package policyd.credentials.literal_secret_variable_test

import data.policyd.credentials.literal_secret_variable

document(detail) := {"effects": [{
	"at": ["effects", 0], "stage": "build", "kind": "literal-credential", "program": "echo", "text": "", "detail": detail,
	"untrusted": false, "computed": false, "secret": false, "guards": [], "confidence": "medium",
}]}

test_value_of_a_secret_variable_is_denied if {
	found := literal_secret_variable.deny with input as document("a value declared a secret")
	found == {{"message": "a variable is declared a secret, and its value stands here", "at": ["effects", 0]}}
}

test_other_credentials_are_another_rule if {
	count(literal_secret_variable.deny) == 0 with input as document("a GitHub token")
}

test_nothing_is_fine if {
	count(literal_secret_variable.deny) == 0 with input as {"effects": []}
}
