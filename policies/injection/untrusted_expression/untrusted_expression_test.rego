package policyd.injection.untrusted_expression_test

import data.policyd.injection.untrusted_expression

expression(fields) := object.union(
	{
		"at": ["expressions", 0], "stage": "build", "text": "github.event.issue.title", "untrusted": true, "sink": "script",
		"open": false,
	},
	fields,
)

document(dialect, fields, flows) := {
	"pipeline": {"dialect": dialect},
	"expressions": [expression(fields)],
	"flows": flows,
}

test_stranger_in_a_script_is_denied if {
	found := untrusted_expression.deny with input as document("github", {}, [])
	found == {{
		"message": "github.event.issue.title, which a stranger can write, becomes part of a script",
		"at": ["expressions", 0],
	}}
}

naming(name, ref) := object.union(
	document("github", {"sink": "reference"}, []),
	{"references": [{"stage": "build", "computed": true, "owner": "example", "name": name, "ref": ref}]},
)

test_stranger_who_names_an_image_is_denied if {
	found := untrusted_expression.deny with input as naming("app-github.event.issue.title", "")
	some violation in found
	violation.confidence == "medium"
}

test_stranger_who_chooses_a_version_is_fine if {
	count(untrusted_expression.deny) == 0 with input as naming("app", "github.event.issue.title")
}

test_what_another_rule_says_is_fine_here if {
	flow := {"kind": "output", "sink": "script", "lands": ["expressions", 0]}
	count(untrusted_expression.deny) == 0 with input as document("github", {}, [flow])
	other := {"kind": "output", "sink": "script", "lands": []}
	count(untrusted_expression.deny) == 1 with input as document("github", {}, [other])
}

test_open_input_is_fine_here if {
	count(untrusted_expression.deny) == 0 with input as document("gitlab", {"open": true}, [])
}

test_stranger_in_a_variable_is_fine if {
	count(untrusted_expression.deny) == 0 with input as document("github", {"sink": "environment"}, [])
}

test_trusted_value_in_a_script_is_fine if {
	count(untrusted_expression.deny) == 0 with input as document("github", {"untrusted": false}, [])
}

test_no_expression_is_fine if {
	count(untrusted_expression.deny) == 0 with input as {"pipeline": {"dialect": "github"}, "expressions": [], "flows": []}
}
