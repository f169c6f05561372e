package policyd.dependencies.obfuscated_reference_test

import data.policyd.dependencies.obfuscated_reference

reference(fields) := object.union(
	{
		"at": ["references", 0], "stage": "build", "text": "owner/name@v1", "kind": "action", "owner": "owner",
		"name": "name", "ref": "v1", "local": false, "pinned": false, "computed": false, "comment": "", "inputs": {},
		"slug": "owner/name",
	},
	fields,
)

found(text) := result if {
	result := obfuscated_reference.deny with input as {"references": [reference({"text": text})]}
}

test_path_that_hides_a_name_is_denied if {
	texts := [
		"actions/checkout/@v4", "actions//checkout@v4", "actions/checkout/.@v4", "actions/./checkout@v4",
		"github/codeql-action/x/../init@v3", "actions/checkout/..@v4", "./.github/x/../actions/build",
		`./.github\..\actions`,
	]
	every text in texts {
		count(found(text)) == 1
	}
}

test_plain_path_is_fine if {
	texts := [
		"actions/checkout@v4", "github/codeql-action/init@v3", "./.github/actions/build", "./", ".", "./action",
		"owner/repository/.github/workflows/build.yml@main", "owner/repo@release/v1", "owner/.github/actions/x@v1.0",
	]
	every text in texts {
		count(found(text)) == 0
	}
}

of_expression(fields) := result if {
	expression := object.union(
		{
			"at": ["expressions", 0], "text": "", "contexts": [], "functions": [], "sink": "script",
			"constant": false, "computed": false,
		},
		fields,
	)
	result := obfuscated_reference.deny with input as {"references": [], "expressions": [expression]}
}

test_text_that_is_put_together_is_denied if {
	count(of_expression({"constant": true, "text": "${{ format('a') }}"})) == 1
	count(of_expression({"constant": true, "sink": "condition"})) == 0
	count(of_expression({})) == 0
}

test_name_that_is_put_together_is_denied if {
	made := {"computed": true, "functions": ["format"]}
	count(of_expression(object.union(made, {"text": "${{ github[format('{0}', 'sha')] }}"}))) == 1
	count(of_expression(object.union(made, {"text": "${{ vars[format('URL_{0}', matrix.os)] }}"}))) == 0
}
