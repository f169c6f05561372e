package policyd.dependencies.unverified_owner_test

import data.policyd.dependencies.unverified_owner

reference(fields) := object.union(
	{
		"at": ["references", 0], "stage": "build", "text": "owner/name@v1", "kind": "action", "owner": "owner",
		"name": "name", "ref": "v1", "local": false, "pinned": false, "computed": false, "comment": "", "inputs": {},
		"slug": "owner/name",
	},
	fields,
)

found(fields) := result if {
	result := unverified_owner.deny with input as {"references": [reference(fields)]}
		with data.policyd.known.components.owners as ["actions"]
}

test_unknown_owner_is_denied if {
	found({}) == {{"message": "owner/name@v1 is of owner, who is not widely known", "at": ["references", 0]}}
}

test_known_owner_is_fine if {
	count(found({"slug": "actions/checkout"})) == 0
	count(found({"local": true})) == 0
	count(found({"kind": "image"})) == 0
	count(found({"slug": ""})) == 0
}

test_owner_that_settings_know_is_fine if {
	count(unverified_owner.deny) == 0 with input as {"references": [reference({})]}
		with data.policyd.settings.dependencies.unverified_owner.known_owners as ["owner"]
}
