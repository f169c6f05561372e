package policyd.injection.poisoned_artifact_test

import data.policyd.injection.poisoned_artifact

stage(fields) := object.union(
	{
		"at": ["stages", 0], "name": "deploy", "privileged": true, "untrusted": true, "has_secrets": true, "writes": false,
		"guards": [], "has_source": true,
	},
	fields,
)

use(fields) := object.union(
	{
		"at": ["artifacts", 0], "stage": "deploy", "direction": "download", "untrusted": true, "into_workspace": true,
		"paths": ["."], "runs": "make", "runs_at": ["effects", 2],
	},
	fields,
)

document(one, of) := {"artifacts": [use(one)], "stages": [stage(of)]}

test_files_over_the_tree_are_denied if {
	found := poisoned_artifact.deny with input as document({}, {})
	found == {{
		"message": "files of a stranger's run come into deploy, which has secrets or a token that writes, and runs make",
		"at": ["artifacts", 0],
		"related": [{"message": "what runs of them", "at": ["effects", 2]}],
	}}
}

test_files_over_the_tree_of_which_nothing_runs_are_fine if {
	count(poisoned_artifact.deny) == 0 with input as document({"runs": "", "runs_at": []}, {})
}

test_what_runs_from_their_own_folder_is_denied if {
	count(poisoned_artifact.deny) == 1 with input as document({"into_workspace": false, "paths": ["out"]}, {})
}

test_stage_that_members_let_pass_is_fine if {
	count(poisoned_artifact.deny) == 0 with input as document({}, {"guards": ["event"]})
}

test_stage_without_powers_is_fine if {
	count(poisoned_artifact.deny) == 0 with input as document({}, {"privileged": false})
}

test_stage_that_members_start_has_its_secrets_and_is_denied if {
	members := {"privileged": false, "untrusted": false}
	count(poisoned_artifact.deny) == 1 with input as document({}, members)
	token := object.union(members, {"has_secrets": false, "writes": true})
	count(poisoned_artifact.deny) == 1 with input as document({}, token)
	count(poisoned_artifact.deny) == 0 with input as document({}, object.union(members, {"has_secrets": false}))
}

test_trusted_files_and_uploads_are_fine if {
	count(poisoned_artifact.deny) == 0 with input as document({"untrusted": false}, {})
	count(poisoned_artifact.deny) == 0 with input as document({"direction": "upload"}, {})
}
