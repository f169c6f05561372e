package policyd.injection.untrusted_flow_test

import data.policyd.injection.untrusted_flow

flow(fields) := object.union(
	{
		"at": ["flows", 0], "stage": "read", "kind": "output", "value": "github.head_ref", "name": "needs.read.outputs.branch",
		"into": "build", "sink": "script", "place": "ci.yml:20", "lands": ["expressions", 4],
	},
	fields,
)

test_output_that_becomes_part_of_a_script_is_denied if {
	found := untrusted_flow.deny with input.flows as [flow({})]
	found == {{
		"message": "github.head_ref, which a stranger can write, comes from read as needs.read.outputs.branch and becomes part of a script of build",
		"at": ["expressions", 4],
		"related": [{"message": "where it is handed on", "at": ["flows", 0]}],
	}}
}

test_variable_that_is_evaluated_is_denied if {
	found := untrusted_flow.deny with input.flows as [flow({"kind": "variable", "lands": []})]
	some violation in found
	violation.at == ["flows", 0]
}

test_output_in_a_variable_is_fine if {
	count(untrusted_flow.deny) == 0 with input.flows as [flow({"sink": "environment"})]
}

test_call_is_fine_here if {
	count(untrusted_flow.deny) == 0 with input.flows as [flow({"kind": "call"})]
}
