package policyd.injection.untrusted_expression_test

import data.policyd.injection.untrusted_expression

expression(untrusted, sink) := {
	"text": "github.event.issue.title", "contexts": ["github.event.issue.title"], "untrusted": untrusted, "sink": sink,
	"always_true": false, "at": ["expressions", 0], "stage": "build",
}

test_stranger_in_a_script_is_denied if {
	found := untrusted_expression.deny with input.expressions as [expression(true, "script")]
	found == {{
		"message": "github.event.issue.title, which a stranger can write, becomes part of a script",
		"at": ["expressions", 0],
	}}
}

test_stranger_in_a_variable_is_fine if {
	count(untrusted_expression.deny) == 0 with input.expressions as [expression(true, "environment")]
}

test_trusted_value_in_a_script_is_fine if {
	count(untrusted_expression.deny) == 0 with input.expressions as [expression(false, "script")]
}

test_no_expression_is_fine if {
	count(untrusted_expression.deny) == 0 with input.expressions as []
}
