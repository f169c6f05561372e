package policyd.flow.auto_merge_test

import data.policyd.flow.auto_merge

effect(fields) := object.union(
	{
		"at": ["effects", 0], "stage": "merge", "kind": "auto-merge", "program": "gh", "detail": "gh pr merge", "guards": [],
	},
	fields,
)

document(fields, of) := {
	"effects": [effect(fields)],
	"stages": [object.union({"at": ["stages", 0], "name": "merge", "untrusted": true, "privileged": true}, of)],
}

test_merge_for_strangers_is_denied if {
	found := auto_merge.deny with input as document({}, {})
	found == {{
		"message": "merge approves or merges for strangers (gh pr merge)",
		"at": ["effects", 0],
		"related": [{"message": "the stage that strangers can start", "at": ["stages", 0]}],
	}}
}

test_merge_for_a_known_author_is_fine if {
	count(auto_merge.deny) == 0 with input as document({"guards": ["actor"]}, {})
}

test_merge_that_members_start_is_fine if {
	count(auto_merge.deny) == 0 with input as document({}, {"untrusted": false})
}

test_merge_without_powers_is_fine if {
	count(auto_merge.deny) == 0 with input as document({}, {"privileged": false})
}

test_other_effect_is_fine if {
	count(auto_merge.deny) == 0 with input as document({"kind": "test"}, {})
}
