package policyd.hygiene.anonymous_definition_test

import data.policyd.hygiene.anonymous_definition

document(kind, file) := {"pipeline": {"kind": kind}, "document": file}

test_workflow_without_name_is_denied if {
	found := anonymous_definition.deny with input as document("workflow", {"on": "push"})
	found == {{"message": "this workflow has no name", "at": ["document"]}}
}

test_action_without_name_is_denied if {
	count(anonymous_definition.deny) == 1 with input as document("action", {})
}

test_named_workflow_is_fine if {
	count(anonymous_definition.deny) == 0 with input as document("workflow", {"name": "build"})
}

test_settings_need_none if {
	count(anonymous_definition.deny) == 0 with input as document("settings", {})
}
