package policyd.dependencies.risky_input_test

import data.policyd.dependencies.risky_input

reference(fields) := object.union(
	{
		"at": ["references", 0], "stage": "build", "text": "owner/name@v1", "kind": "action", "owner": "owner",
		"name": "name", "ref": "v1", "local": false, "pinned": false, "computed": false, "comment": "", "inputs": {},
		"slug": "owner/name",
	},
	fields,
)

found(slug, inputs) := result if {
	result := risky_input.deny with input as {"references": [reference({"slug": slug, "inputs": inputs})]}
}

test_any_value_is_denied if {
	count(found("actions/setup-python", {"pip-install": "tox"})) == 1
	count(found("actions/setup-python", {"pip-install": ""})) == 0
	count(found("actions/setup-python", {"python-version": "3.12"})) == 0
}

test_one_value_is_denied_and_another_is_fine if {
	message := "ssh-strict of owner/name@v1 believes any server that answers: leave it at true"
	found("actions/checkout", {"ssh-strict": "false"}) == {{"message": message, "at": ["references", 0]}}
	count(found("actions/checkout", {"ssh-strict": "true"})) == 0
	count(found("owner/checkout", {"ssh-strict": "false"})) == 0
}

test_input_is_named_in_its_own_place if {
	reference := {
		"at": ["references", 0], "slug": "actions/checkout", "text": "actions/checkout@v4", "kind": "action",
		"inputs": {"ssh-strict": "false"}, "inputs_at": {"ssh-strict": ["inputs", 3]},
	}
	result := risky_input.deny with input as {"references": [reference], "effects": []}
	{violation.at | some violation in result} == {["inputs", 3]}
}

test_shell_cmd_is_denied if {
	result := risky_input.deny with input as {
		"references": [],
		"effects": [{"at": ["effects", 0], "kind": "weak-shell", "detail": "cmd"}],
	}
	count(result) == 1
}
