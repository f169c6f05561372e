package policyd.dependencies.unpinned_tool_test

import data.policyd.dependencies.unpinned_tool

reference(fields) := object.union(
	{
		"at": ["references", 0], "stage": "build", "text": "owner/name@v1", "kind": "action", "owner": "owner",
		"name": "name", "ref": "v1", "local": false, "pinned": false, "computed": false, "comment": "", "inputs": {},
		"slug": "owner/name",
	},
	fields,
)

known := {"action": {
	"owner/name": {"inputs": ["version", "version-file"], "newest_by_default": true},
	"owner/calm": {"inputs": ["version"], "newest_by_default": false},
}}

found(fields) := result if {
	result := unpinned_tool.deny with input as {"references": [reference(fields)]}
		with data.policyd.known.components.tools as known
}

test_newest_is_denied if {
	message := "owner/name@v1 installs what is newest each time (version: latest)"
	found({"inputs": {"version": "latest"}}) == {{"message": message, "at": ["references", 0]}}
	count(found({"slug": "owner/calm", "inputs": {"version": "*"}})) == 1
}

test_no_version_is_denied_where_that_means_the_newest if {
	message := "owner/name@v1 is told no version (version), so it installs what is newest each time"
	found({}) == {{"message": message, "at": ["references", 0]}}
	count(found({"inputs": {"version": ""}})) == 1
	count(found({"slug": "owner/calm"})) == 0
}

test_version_or_file_is_fine if {
	count(found({"inputs": {"version": "1.2.3"}})) == 0
	count(found({"inputs": {"version-file": ".tool"}})) == 0
	count(found({"inputs": {"version": "${{ matrix.version }}"}})) == 0
	count(found({"slug": "owner/other", "inputs": {"version": "latest"}})) == 0
}
