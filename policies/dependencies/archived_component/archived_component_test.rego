package policyd.dependencies.archived_component_test

import data.policyd.dependencies.archived_component

reference(fields) := object.union(
	{
		"at": ["references", 0], "stage": "build", "text": "owner/name@v1", "kind": "action", "owner": "owner",
		"name": "name", "ref": "v1", "local": false, "pinned": false, "computed": false, "comment": "", "inputs": {},
		"slug": "owner/name",
	},
	fields,
)

found(fields) := result if {
	result := archived_component.deny with input as {"references": [reference(fields)]}
		with data.policyd.known.components.archived as {"action": {"owner/name": "", "owner/old": "owner/new"}}
}

test_archived_component_is_denied if {
	found({}) == {{"message": "owner/name@v1 is archived", "at": ["references", 0]}}
	found({"slug": "owner/old"}) == {{"message": "owner/name@v1 is archived; owner/new took its place", "at": ["references", 0]}}
}

test_reusable_workflow_of_an_archived_repository_is_denied if {
	count(found({"kind": "workflow"})) == 1
}

test_other_or_local_component_is_fine if {
	count(found({"slug": "owner/other"})) == 0
	count(found({"kind": "image"})) == 0
	count(found({"local": true})) == 0
}
