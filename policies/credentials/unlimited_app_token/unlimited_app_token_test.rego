package policyd.credentials.unlimited_app_token_test

import data.policyd.credentials.unlimited_app_token

document(inputs) := {"references": [{
	"at": ["references", 0], "stage": "build", "kind": "action", "owner": "actions", "name": "create-github-app-token",
	"slug": "actions/create-github-app-token", "inputs": inputs,
}]}

limited := {"permission-contents": "read"}

test_token_without_permissions_is_denied if {
	found := unlimited_app_token.deny with input as document({})
	found == {{
		"message": "the app's token may do all that the app may: no permission is named",
		"at": ["references", 0],
	}}
}

test_token_for_every_repository_is_denied if {
	found := unlimited_app_token.deny with input as document(object.union(limited, {"owner": "acme"}))
	found == {{
		"message": "the app's token reaches every repository of the owner: none is named",
		"at": ["references", 0],
	}}
}

test_token_that_stays_is_denied if {
	found := unlimited_app_token.deny with input as document(object.union(limited, {"skip-token-revoke": "true"}))
	found == {{"message": "the app's token is not revoked when the job ends", "at": ["references", 0]}}
}

test_limited_token_is_fine if {
	count(unlimited_app_token.deny) == 0 with input as document(limited)
}

test_token_for_named_repositories_is_fine if {
	count(unlimited_app_token.deny) == 0 with input as document(object.union(limited, {
		"owner": "acme", "repositories": "site",
	}))
}

test_other_action_is_fine if {
	count(unlimited_app_token.deny) == 0 with input as {"references": [object.union(
		document({}).references[0],
		{"slug": "actions/checkout"},
	)]}
}
