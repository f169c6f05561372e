package policyd.credentials.inherited_secrets_test

import data.policyd.credentials.inherited_secrets

secret(inherited) := {
	"name": "TOKEN", "all": inherited, "inherited": inherited, "sink": "other", "at": ["secrets", 0], "stage": "build",
}

test_inherited_secrets_are_denied if {
	found := inherited_secrets.deny with input.secrets as [secret(true)]
	found == {{"message": "every secret is handed to the called workflow", "at": ["secrets", 0]}}
}

test_named_secret_is_fine if {
	count(inherited_secrets.deny) == 0 with input.secrets as [secret(false)]
}

test_no_secret_is_fine if {
	count(inherited_secrets.deny) == 0 with input.secrets as []
}
