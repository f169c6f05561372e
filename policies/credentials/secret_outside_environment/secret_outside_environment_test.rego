package policyd.credentials.secret_outside_environment_test

import data.policyd.credentials.secret_outside_environment

secret(fields) := object.union(
	{"name": "TOKEN", "all": false, "inherited": false, "sink": "environment", "at": ["secrets", 0], "stage": "build"},
	fields,
)

document(one, environment) := {"secrets": [one], "stages": [{"name": "build", "environment": environment}]}

test_secret_without_environment_is_denied if {
	found := secret_outside_environment.deny with input as document(secret({}), "")
	found == {{"message": "TOKEN is used in a job without an environment", "at": ["secrets", 0]}}
}

test_all_secrets_are_denied if {
	found := secret_outside_environment.deny with input as document(secret({"name": "*", "all": true}), "")
	found == {{"message": "every secret is used in a job without an environment", "at": ["secrets", 0]}}
}

test_secret_in_an_environment_is_fine if {
	count(secret_outside_environment.deny) == 0 with input as document(secret({}), "production")
}

test_token_of_the_job_is_fine if {
	count(secret_outside_environment.deny) == 0 with input as document(secret({"name": "GITHUB_TOKEN"}), "")
}

test_inherited_secrets_are_another_rule if {
	count(secret_outside_environment.deny) == 0 with input as document(secret({"all": true, "inherited": true}), "")
}
