package policyd.credentials.hardcoded_credential_test

import data.policyd.credentials.hardcoded_credential

effect(fields) := object.union(
	{
		"at": ["effects", 0], "stage": "build", "kind": "", "program": "", "text": "", "detail": "",
		"untrusted": false, "computed": false, "secret": false, "guards": [], "confidence": "high",
	},
	fields,
)

document(one) := {"effects": [one]}

test_known_format_in_a_variable_is_denied if {
	found := hardcoded_credential.deny with input as document(effect({"kind": "literal-credential", "text": "X", "detail": "a GitHub token"}))
	found == {{"message": "a GitHub token stands in plain text in X", "at": ["effects", 0], "confidence": "high"}}
}

test_known_format_in_a_command_is_denied_without_its_text if {
	found := hardcoded_credential.deny with input as document(effect({"kind": "literal-credential", "program": "curl", "text": "curl ghp_", "detail": "a GitHub token"}))
	found == {{"message": "a GitHub token stands in plain text in a command of curl", "at": ["effects", 0], "confidence": "high"}}
}

test_guess_says_so if {
	found := hardcoded_credential.deny with input as document(effect({"kind": "literal-credential", "text": "API_KEY", "detail": "what seems a credential", "confidence": "medium"}))
	found == {{"message": "what seems a credential stands in plain text in API_KEY", "at": ["effects", 0], "confidence": "medium"}}
}

test_other_effect_is_fine if {
	count(hardcoded_credential.deny) == 0 with input as document(effect({"kind": "build", "program": "make", "detail": "make"}))
}

test_nothing_is_fine if {
	count(hardcoded_credential.deny) == 0 with input as object.union(document(effect({})), {"effects": []})
}
