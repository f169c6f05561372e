package policyd.dependencies.superfluous_component_test

import data.policyd.dependencies.superfluous_component

reference(fields) := object.union(
	{
		"at": ["references", 0], "stage": "build", "text": "owner/name@v1", "kind": "action", "owner": "owner",
		"name": "name", "ref": "v1", "local": false, "pinned": false, "computed": false, "comment": "", "inputs": {},
		"slug": "owner/name",
	},
	fields,
)

found(fields) := result if {
	result := superfluous_component.deny with input as {"references": [reference(fields)]}
		with data.policyd.known.components.superfluous as {"owner/name": "`gh release create`"}
}

test_action_that_the_runner_replaces_is_denied if {
	message := "the runner can do what owner/name@v1 does: `gh release create`"
	found({}) == {{"message": message, "at": ["references", 0]}}
}

test_other_action_is_fine if {
	count(found({"slug": "owner/other"})) == 0
	count(found({"kind": "image"})) == 0
}
