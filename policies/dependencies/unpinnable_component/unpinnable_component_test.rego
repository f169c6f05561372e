package policyd.dependencies.unpinnable_component_test

import data.policyd.dependencies.unpinnable_component

reference(fields) := object.union(
	{
		"at": ["references", 0], "stage": "build", "text": "owner/name@v1", "kind": "action", "owner": "owner",
		"name": "name", "ref": "v1", "local": false, "pinned": false, "computed": false, "comment": "", "inputs": {},
		"slug": "owner/name",
	},
	fields,
)

document(kind, fields) := {"pipeline": {"kind": kind}, "references": [reference({"pinned": true}), reference(fields)]}

test_action_with_a_tag_is_denied_once if {
	given := {"pipeline": {"kind": "action"}, "references": [reference({}), reference({"at": ["references", 1]})]}
	found := unpinnable_component.deny with input as given
	found == {{"message": "who pins this action still gets owner/name@v1, which can change", "at": ["references", 0]}}
}

test_pinned_or_local_one_is_fine if {
	count(unpinnable_component.deny) == 0 with input as document("action", {"pinned": true})
	count(unpinnable_component.deny) == 0 with input as document("action", {"local": true})
}

test_workflow_is_pinned_by_nobody if {
	count(unpinnable_component.deny) == 0 with input as document("workflow", {})
}
