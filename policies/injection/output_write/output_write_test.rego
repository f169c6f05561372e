package policyd.injection.output_write_test

import data.policyd.injection.output_write

effect(fields) := object.union(
	{
		"at": ["effects", 0], "stage": "build", "kind": "output-write", "program": "curl", "text": "", "detail": "$TITLE",
		"untrusted": true, "computed": false, "guards": [], "confidence": "high",
	},
	fields,
)

document(fields, privileged) := {
	"effects": [effect(fields)],
	"stages": [{"at": ["stages", 0], "name": "build", "privileged": privileged}],
}

test_stranger_is_denied if {
	found := output_write.deny with input as document({}, true)
	some violation in found
	violation.message == "a stranger's text is written to $TITLE"
	violation.at == ["effects", 0]
	count(found) == 1
}

test_own_text_is_fine if {
	count(output_write.deny) == 0 with input as document({"untrusted": false}, true)
}

test_other_effect_is_fine if {
	count(output_write.deny) == 0 with input as document({"kind": "build"}, true)
}

test_nothing_is_fine if {
	count(output_write.deny) == 0 with input as {"effects": [], "stages": []}
}
