package policyd.injection.unconstrained_input_test

import data.policyd.injection.unconstrained_input

expression(open, sink) := {
	"at": ["expressions", 0], "stage": "build", "text": "${{ inputs.version }}", "untrusted": false, "sink": sink, "open": open,
}

test_open_input_in_a_script_is_denied if {
	found := unconstrained_input.deny with input.expressions as [expression(true, "script")]
	found == {{
		"message": "${{ inputs.version }}, which can be any text, becomes part of a script",
		"at": ["expressions", 0],
	}}
}

test_open_input_in_a_variable_is_fine if {
	count(unconstrained_input.deny) == 0 with input.expressions as [expression(true, "environment")]
}

test_constrained_input_is_fine if {
	count(unconstrained_input.deny) == 0 with input.expressions as [expression(false, "script")]
}
