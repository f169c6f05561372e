package policyd.credentials.leaked_workspace_test

import data.policyd.credentials.leaked_workspace

upload(fields) := object.union(
	{"at": ["artifacts", 0], "stage": "build", "text": "all", "direction": "upload", "whole_workspace": true},
	fields,
)

document(fields) := object.union(
	{
		"pipeline": {"dialect": "github"},
		"artifacts": [upload({})],
		"checkouts": [{"at": ["checkouts", 0], "stage": "build", "persists_credentials": true}],
		"effects": [],
	},
	fields,
)

test_workspace_with_a_credential_is_denied if {
	found := leaked_workspace.deny with input as document({})
	found == {{
		"message": "all takes along a credential that was left in the workspace",
		"at": ["artifacts", 0],
		"related": [{"message": "what leaves the credential", "at": ["checkouts", 0]}],
	}}
}

test_file_with_a_credential_is_denied if {
	count(leaked_workspace.deny) == 1 with input as document({
		"checkouts": [],
		"effects": [{"at": ["effects", 0], "stage": "build", "kind": "persists-credentials"}],
	})
}

test_folder_of_the_workspace_is_fine if {
	count(leaked_workspace.deny) == 0 with input as document({"artifacts": [upload({"whole_workspace": false})]})
}

test_workspace_without_credential_is_fine if {
	count(leaked_workspace.deny) == 0 with input as document({"checkouts": []})
}

test_credential_of_another_stage_is_fine if {
	count(leaked_workspace.deny) == 0 with input as document({"artifacts": [upload({"stage": "test"})]})
}

test_download_is_fine if {
	count(leaked_workspace.deny) == 0 with input as document({"artifacts": [upload({"direction": "download"})]})
}

test_git_folder_on_gitlab_is_denied_with_less_confidence if {
	some violation in leaked_workspace.deny with input as document({"pipeline": {"dialect": "gitlab"}, "checkouts": []})
	violation.confidence == "medium"
}

test_file_that_holds_a_credential_is_denied if {
	taken := upload({"whole_workspace": false, "credentials": "kubeconfig"})
	found := leaked_workspace.deny with input as document({"artifacts": [taken]})
	found == {{
		"message": "kubeconfig, a file of credentials, is taken along", "at": ["artifacts", 0], "confidence": "medium",
	}}
}
