package policyd.credentials.persisted_checkout_test

import data.policyd.credentials.persisted_checkout

checkout(fields) := object.union(
	{
		"text": "actions/checkout@v4", "ref": "", "untrusted": false, "persists_credentials": true, "mutable": false,
		"runs": "", "at": ["checkouts", 0], "stage": "build",
	},
	fields,
)

document(fields) := object.union(
	{"checkouts": [checkout({})], "effects": [], "artifacts": [], "commands": []},
	fields,
)

upload := {"at": ["artifacts", 0], "stage": "build", "direction": "upload", "whole_workspace": true}

clone := {
	"at": ["effects", 0], "stage": "build", "kind": "persists-credentials", "program": "git",
	"text": "git clone https://u:$TOKEN@host/x", "detail": "git clone",
}

test_credentials_left_are_denied if {
	found := persisted_checkout.deny with input as document({})
	found == {{
		"message": "actions/checkout@v4 leaves the stage's token in the working copy",
		"at": ["checkouts", 0],
		"confidence": "medium",
	}}
}

test_credentials_removed_are_fine if {
	count(persisted_checkout.deny) == 0 with input as document({"checkouts": [checkout({"persists_credentials": false})]})
}

test_upload_of_the_workspace_makes_it_sure if {
	some violation in persisted_checkout.deny with input as document({"artifacts": [upload]})
	violation.confidence == "high"
}

test_strangers_code_behind_it_makes_it_sure if {
	other := checkout({"persists_credentials": false, "untrusted": true, "mutable": true, "runs": "make"})
	some violation in persisted_checkout.deny with input as document({"checkouts": [checkout({}), other]})
	violation.confidence == "high"
}

test_push_makes_it_likely_to_be_meant if {
	push := {"stage": "build", "program": "git", "argv": ["git", "push"]}
	some violation in persisted_checkout.deny with input as document({"commands": [push]})
	violation.confidence == "low"
}

test_command_is_said_once if {
	found := persisted_checkout.deny with input as document({
		"checkouts": [checkout({"text": clone.text})],
		"effects": [clone],
	})
	found == {{
		"message": "git clone leaves a credential in git's configuration",
		"at": ["effects", 0],
		"confidence": "high",
	}}
}

test_other_files_are_another_rule if {
	count(persisted_checkout.deny) == 0 with input as document({
		"checkouts": [],
		"effects": [object.union(clone, {"program": "echo", "detail": ".npmrc"})],
	})
}

test_no_checkout_is_fine if {
	count(persisted_checkout.deny) == 0 with input as document({"checkouts": []})
}
