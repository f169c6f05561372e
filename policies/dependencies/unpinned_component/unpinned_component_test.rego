package policyd.dependencies.unpinned_component_test

import data.policyd.dependencies.unpinned_component

reference(kind, local, pinned) := {
	"text": "actions/checkout@v4", "kind": kind, "local": local, "pinned": pinned,
	"owner": "", "name": "", "ref": "", "at": ["references", 0], "stage": "build",
}

test_tag_is_denied_where_it_stands if {
	found := unpinned_component.deny with input.references as [reference("action", false, false)]
	some violation in found
	violation.at == ["references", 0]
	violation.message == "actions/checkout@v4 is not pinned to a digest"
}

test_image_is_denied if {
	count(unpinned_component.deny) == 1 with input.references as [reference("image", false, false)]
}

test_digest_is_fine if {
	count(unpinned_component.deny) == 0 with input.references as [reference("action", false, true)]
}

test_local_component_is_fine if {
	count(unpinned_component.deny) == 0 with input.references as [reference("workflow", true, false)]
}

test_tool_of_the_operator_is_fine if {
	count(unpinned_component.deny) == 0 with input.references as [reference("tool", false, false)]
}

test_nothing_referenced_is_fine if {
	count(unpinned_component.deny) == 0 with input.references as []
}

owned(kind) := object.union(reference(kind, false, false), {"owner": "actions"})

test_action_of_a_trusted_owner_is_fine if {
	count(unpinned_component.deny) == 0 with input.references as [owned("action"), owned("workflow")]
		with data.policyd.settings.dependencies.unpinned_component.trusted_owners as ["actions"]
}

test_image_of_a_trusted_owner_is_denied if {
	count(unpinned_component.deny) == 1 with input.references as [owned("image")]
		with data.policyd.settings.dependencies.unpinned_component.trusted_owners as ["actions"]
}

test_action_of_another_owner_is_denied if {
	count(unpinned_component.deny) == 1 with input.references as [owned("action")]
		with data.policyd.settings.dependencies.unpinned_component.trusted_owners as ["action", "actions-more"]
}
