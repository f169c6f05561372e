package policyd.credentials.unredacted_secret_test

import data.policyd.credentials.unredacted_secret

expression(text) := {
	"text": text, "contexts": ["secrets.X"], "untrusted": false, "sink": "environment", "always_true": false,
	"at": ["expressions", 0], "stage": "build",
}

test_part_of_a_secret_is_denied if {
	count(unredacted_secret.deny) == 1 with input.expressions as [expression("fromJSON(secrets.CLOUD).key")]
}

test_whole_secret_is_fine if {
	count(unredacted_secret.deny) == 0 with input.expressions as [expression("secrets.CLOUD")]
}

test_other_structure_is_fine if {
	count(unredacted_secret.deny) == 0 with input.expressions as [expression("fromJSON(needs.a.outputs.matrix)")]
}

test_no_expression_is_fine if {
	count(unredacted_secret.deny) == 0 with input.expressions as []
}
