package policyd.credentials.secret_in_log_test

import data.policyd.credentials.secret_in_log

effect(fields) := object.union(
	{
		"at": ["effects", 0], "stage": "build", "kind": "", "program": "", "text": "", "detail": "",
		"untrusted": false, "computed": false, "secret": false, "guards": [], "confidence": "high",
	},
	fields,
)

document(one) := {"effects": [one]}

test_printed_secret_is_denied if {
	found := secret_in_log.deny with input as document(effect({"kind": "secret-print", "program": "echo", "detail": "TOKEN", "secret": true}))
	found == {{"message": "echo writes TOKEN to the log", "at": ["effects", 0], "confidence": "high"}}
}

test_listing_of_an_environment_with_secrets_is_denied if {
	count(secret_in_log.deny) == 1 with input as document(effect({"kind": "environment-dump", "program": "env", "secret": true}))
}

test_listing_of_an_environment_without_secrets_is_fine if {
	count(secret_in_log.deny) == 0 with input as document(effect({"kind": "environment-dump", "program": "env"}))
}

test_other_effect_is_fine if {
	count(secret_in_log.deny) == 0 with input as document(effect({"kind": "build", "program": "make", "detail": "make"}))
}

test_nothing_is_fine if {
	count(secret_in_log.deny) == 0 with input as object.union(document(effect({})), {"effects": []})
}

test_listing_on_gitlab_is_denied_as_all_variables_are_in_it if {
	one := document(effect({"kind": "environment-dump", "program": "env"}))
	count(secret_in_log.deny) == 1 with input as object.union(one, {"pipeline": {"dialect": "gitlab"}})
	count(secret_in_log.deny) == 0 with input as object.union(one, {"pipeline": {"dialect": "github"}})
}
