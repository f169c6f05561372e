package policyd.credentials.long_lived_publish_token_test

import data.policyd.credentials.long_lived_publish_token

action(inputs) := {
	"references": [{
		"at": ["references", 0], "stage": "build", "owner": "pypa", "name": "gh-action-pypi-publish",
		"slug": "pypa/gh-action-pypi-publish", "inputs": inputs,
	}],
	"variables": [],
	"stages": [],
}

variable(name, value, purposes) := {
	"references": [],
	"variables": [{
		"at": ["variables", 0], "stage": "build", "name": name, "value": value, "literal": false, "secret": true,
	}],
	"stages": [{"name": "build", "purposes": purposes}],
}

test_password_of_an_action_is_denied if {
	found := long_lived_publish_token.deny with input as action({"password": "${{ secrets.PYPI }}"})
	found == {{"message": "gh-action-pypi-publish publishes with a lasting token", "at": ["references", 0]}}
}

test_action_without_password_is_fine if {
	count(long_lived_publish_token.deny) == 0 with input as action({})
}

test_registry_of_ones_own_is_fine if {
	count(long_lived_publish_token.deny) == 0 with input as action({
		"password": "${{ secrets.PYPI }}", "repository-url": "https://packages.example.com/",
	})
}

test_test_registry_is_as_public if {
	count(long_lived_publish_token.deny) == 1 with input as action({
		"password": "${{ secrets.PYPI }}", "repository-url": "https://test.pypi.org/legacy/",
	})
}

test_variable_of_a_publisher_is_denied if {
	found := long_lived_publish_token.deny with input as variable("TWINE_PASSWORD", "$PYPI_TOKEN", ["publish"])
	found == {{"message": "TWINE_PASSWORD is a lasting token to publish with", "at": ["variables", 0]}}
}

test_token_to_install_with_is_fine if {
	count(long_lived_publish_token.deny) == 0 with input as variable("NODE_AUTH_TOKEN", "$NPM", ["build"])
}

test_token_of_the_run_is_fine if {
	count(long_lived_publish_token.deny) == 0 with input as variable("TWINE_PASSWORD", "$CI_JOB_TOKEN", ["publish"])
}

test_other_variable_is_fine if {
	count(long_lived_publish_token.deny) == 0 with input as variable("SLACK_TOKEN", "$SLACK", ["publish"])
}
