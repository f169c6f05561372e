package policyd.dependencies.forbidden_component_test

import data.policyd.dependencies.forbidden_component

reference(fields) := object.union(
	{
		"at": ["references", 0], "stage": "build", "text": "owner/name@v1", "kind": "action", "owner": "owner",
		"name": "name", "ref": "v1", "local": false, "pinned": false, "computed": false, "comment": "", "inputs": {},
		"slug": "owner/name",
	},
	fields,
)

found(allowed, denied, fields) := result if {
	result := forbidden_component.deny with input as {"references": [reference(fields)]}
		with data.policyd.settings.dependencies.forbidden_component as {"allowed": allowed, "denied": denied}
}

test_everything_is_allowed_by_default if {
	count(forbidden_component.deny) == 0 with input as {"references": [reference({})]}
}

test_what_is_not_on_the_list_is_denied if {
	message := "owner/name@v1 is not among the components that may be used"
	found(["actions/*"], [], {}) == {{"message": message, "at": ["references", 0]}}
	count(found([], [], {})) == 1
	count(found(["owner"], [], {})) == 1
	count(found(["owner/nam"], [], {})) == 1
}

test_what_is_on_the_list_is_fine if {
	count(found(["actions/*", "owner/name"], [], {})) == 0
	count(found(["owner/*"], [], {})) == 0
	count(found([], [], {"local": true})) == 0
	count(found([], [], {"kind": "tool"})) == 0
}

test_what_is_forbidden_is_denied if {
	message := "owner/name@v1 is forbidden (owner/*)"
	found(["*"], ["owner/*"], {}) == {{"message": message, "at": ["references", 0]}}
	count(found(["*"], ["other/*"], {})) == 0
}
