package policyd.credentials.all_secrets_test

import data.policyd.credentials.all_secrets

secret(all_of_them, inherited) := {
	"name": "", "all": all_of_them, "inherited": inherited, "sink": "environment", "at": ["secrets", 0], "stage": "b",
}

test_all_secrets_in_one_value_are_denied if {
	found := all_secrets.deny with input.secrets as [secret(true, false)]
	found == {{"message": "all secrets are put into one value", "at": ["secrets", 0]}}
}

test_inherited_secrets_are_another_rule if {
	count(all_secrets.deny) == 0 with input.secrets as [secret(true, true)]
}

test_one_secret_is_fine if {
	count(all_secrets.deny) == 0 with input.secrets as [secret(false, false)]
}

test_no_secret_is_fine if {
	count(all_secrets.deny) == 0 with input.secrets as []
}
