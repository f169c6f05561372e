package policyd.permissions.undocumented_test

import data.policyd.permissions.undocumented

permission(fields) := object.union(
	{
		"at": ["permissions", 0], "stage": "build", "scope": "issues", "access": "write", "explicit": true, "level": "stage",
		"comment": "",
	},
	fields,
)

test_permission_without_reason_is_denied if {
	found := undocumented.deny with input.permissions as [permission({})]
	found == {{"message": "nothing says what issues: write is for", "at": ["permissions", 0]}}
}

test_permission_with_a_reason_is_fine if {
	count(undocumented.deny) == 0 with input.permissions as [permission({"comment": "to comment on failures"})]
}

test_reading_the_source_needs_no_reason if {
	count(undocumented.deny) == 0 with input.permissions as [permission({"scope": "contents", "access": "read"})]
}

test_default_is_another_rule if {
	count(undocumented.deny) == 0 with input.permissions as [permission({"explicit": false})]
}

test_shorthand_is_another_rule if {
	count(undocumented.deny) == 0 with input.permissions as [permission({}), permission({"scope": "checks"})]
}
