package policyd.credentials.hardcoded_credential_test

import data.policyd.credentials.hardcoded_credential

empty := {"commands": [], "variables": []}

variable(name, value, origin) := object.union(empty, {"variables": [{
	"name": name, "value": value, "literal": true, "origin": origin, "at": ["variables", 0], "stage": "build",
}]})

command(text, program) := object.union(empty, {"commands": [{
	"text": text, "program": program, "argv": [program], "pipes_to": "", "shell": "bash", "untrusted": false,
	"at": ["commands", 0], "stage": "build",
}]})

# Written in two parts, so that no scanner takes this file for a leak.
github_token := concat("", ["ghp_", "0123456789abcdefghijABCDEFGHIJ012345"])

denied(document) if {
	count(hardcoded_credential.deny) == 1 with input as document
}

fine(document) if {
	count(hardcoded_credential.deny) == 0 with input as document
}

test_known_format_is_denied_under_any_name if denied(variable("X", github_token, "environment"))

test_known_format_in_a_command_is_denied if {
	denied(command(sprintf("curl -H 'Authorization: Bearer %v' https://api.example", [github_token]), "curl"))
}

test_message_does_not_quote_the_value if {
	found := hardcoded_credential.deny with input as variable("X", github_token, "environment")
	found == {{"message": "X holds a GitHub token in plain text", "at": ["variables", 0]}}
}

test_private_key_is_denied if {
	denied(variable("K", concat("", ["-----BEGIN RSA ", "PRIVATE KEY-----"]), "environment"))
}

test_value_that_looks_made_by_a_machine_is_denied if {
	denied(variable("DEPLOY_TOKEN", "9f8e7d6c5b4a39281706", "environment"))
}

test_registry_password_is_denied if denied(variable("password", "hunter", "credentials"))

test_reference_to_a_secret_is_fine if {
	document := object.union(empty, {"variables": [{
		"name": "DEPLOY_TOKEN", "value": "${{ secrets.DEPLOY_TOKEN }}", "literal": false, "origin": "environment",
		"at": ["variables", 0], "stage": "build",
	}]})
	fine(document)
}

test_name_of_a_registry_user_is_fine if fine(variable("username", "builder", "credentials"))

test_password_of_a_test_database_is_fine if fine(variable("POSTGRES_PASSWORD", "postgres1", "environment"))

test_shell_variable_is_fine if fine(variable("API_TOKEN", "$OTHER_TOKEN1", "environment"))

test_word_is_fine if fine(variable("TOKEN", "none", "environment"))

test_other_name_is_fine if fine(variable("CACHE_PREFIX", "9f8e7d6c5b4a39281706", "environment"))

test_nothing_is_fine if fine(empty)
