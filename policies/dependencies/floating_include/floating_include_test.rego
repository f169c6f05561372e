package policyd.dependencies.floating_include_test

import data.policyd.dependencies.floating_include

reference(fields) := object.union(
	{
		"at": ["references", 0], "stage": "build", "text": "owner/name@v1", "kind": "action", "owner": "owner",
		"name": "name", "ref": "v1", "local": false, "pinned": false, "computed": false, "comment": "", "inputs": {},
		"slug": "owner/name",
	},
	fields,
)

include(fields) := {"references": [object.union(
	reference({"kind": "include", "text": "https://ci.example.com/build.yml", "ref": ""}),
	fields,
)]}

test_address_is_denied if {
	found := floating_include.deny with input as include({})
	message := "https://ci.example.com/build.yml is fetched each time, whatever it is by then"
	found == {{"message": message, "at": ["references", 0]}}
}

test_pinned_and_computed_addresses_are_fine if {
	count(floating_include.deny) == 0 with input as include({"pinned": true})
	count(floating_include.deny) == 0 with input as include({"computed": true})
}

test_other_files_have_another_rule if {
	count(floating_include.deny) == 0 with input as include({"text": "group/project:build.yml"})
}

test_address_that_settings_trust_is_fine if {
	count(floating_include.deny) == 0 with input as include({})
		with data.policyd.settings.dependencies.floating_include.trusted_addresses as ["https://ci.example.com/"]
	count(floating_include.deny) == 1 with input as include({})
		with data.policyd.settings.dependencies.floating_include.trusted_addresses as ["", "https://ci.example.com.evil/"]
}
