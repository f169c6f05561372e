package policyd.injection.untrusted_call_test

import data.policyd.injection.untrusted_call

flow(fields) := object.union(
	{
		"at": ["flows", 0], "stage": "greet", "kind": "call", "value": "github.head_ref", "name": "who",
		"into": "greet.yml", "sink": "script", "place": "greet.yml:9", "lands": [],
	},
	fields,
)

test_title_for_an_action_that_runs_it_is_denied if {
	found := untrusted_call.deny with input.flows as [flow({})]
	found == {{
		"message": "github.head_ref, which a stranger can write, is given as who and becomes part of a script at greet.yml:9",
		"at": ["flows", 0],
		"related": [],
	}}
}

test_where_it_lands_is_said_and_denied if {
	found := untrusted_call.deny with input.flows as [flow({"lands": ["expressions", 2]})]
	some violation in found
	violation.related == [{"message": "where it becomes part of a script", "at": ["expressions", 2]}]
}

test_title_that_stays_text_is_fine if {
	count(untrusted_call.deny) == 0 with input.flows as [flow({"sink": "environment"})]
}

test_output_is_fine_here if {
	count(untrusted_call.deny) == 0 with input.flows as [flow({"kind": "output"})]
}
