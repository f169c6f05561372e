package policyd.dependencies.unpinned_component_test

import data.policyd.dependencies.unpinned_component

reference(fields) := object.union(
	{
		"at": ["references", 0], "stage": "build", "text": "owner/name@v1", "kind": "action", "owner": "owner",
		"name": "name", "ref": "v1", "local": false, "pinned": false, "computed": false, "comment": "", "inputs": {},
		"slug": "owner/name",
	},
	fields,
)

document(dialect, one) := {"pipeline": {"dialect": dialect}, "references": [one]}

test_tag_is_denied_where_it_stands if {
	found := unpinned_component.deny with input as document("github", reference({"text": "actions/checkout@v4"}))
	found == {{"message": "actions/checkout@v4 is not pinned to a digest", "at": ["references", 0]}}
}

test_digest_is_fine if {
	count(unpinned_component.deny) == 0 with input as document("github", reference({"pinned": true}))
}

test_local_component_is_fine if {
	count(unpinned_component.deny) == 0 with input as document("github", reference({"local": true}))
}

test_image_and_tool_have_other_rules if {
	count(unpinned_component.deny) == 0 with input as document("github", reference({"kind": "image"}))
	count(unpinned_component.deny) == 0 with input as document("github", reference({"kind": "tool"}))
}

test_name_made_of_a_value_is_fine_unless_its_version_is_written_out if {
	computed := reference({"kind": "include", "computed": true})
	count(unpinned_component.deny) == 1 with input as document("gitlab", computed)
	count(unpinned_component.deny) == 0 with input as document("gitlab", object.union(computed, {"ref": ""}))
	count(unpinned_component.deny) == 0 with input as document("gitlab", object.union(computed, {"ref": "$REF"}))
	count(unpinned_component.deny) == 0 with input as document("gitlab", object.union(computed, {"ref": "{{ ref }}"}))
}

test_task_of_azure_itself_is_fine if {
	count(unpinned_component.deny) == 0 with input as document("azure", reference({"kind": "task", "owner": ""}))
	count(unpinned_component.deny) == 1 with input as document("azure", reference({"kind": "task"}))
}

test_nothing_referenced_is_fine if {
	count(unpinned_component.deny) == 0 with input as {"pipeline": {"dialect": "github"}, "references": []}
}

test_component_of_a_trusted_owner_is_fine if {
	count(unpinned_component.deny) == 0 with input as document("github", reference({}))
		with data.policyd.settings.dependencies.unpinned_component.trusted_owners as ["owner"]
}

test_component_of_another_owner_is_denied if {
	count(unpinned_component.deny) == 1 with input as document("github", reference({}))
		with data.policyd.settings.dependencies.unpinned_component.trusted_owners as ["own", "owner-more"]
}
