package policyd.injection.untrusted_argument_test

import data.policyd.injection.untrusted_argument

effect(fields) := object.union(
	{
		"at": ["effects", 0], "stage": "build", "kind": "argument", "program": "curl", "text": "", "detail": "$TITLE",
		"untrusted": true, "computed": false, "guards": [], "confidence": "high",
	},
	fields,
)

document(fields, privileged) := {
	"effects": [effect(fields)],
	"stages": [{"at": ["stages", 0], "name": "build", "privileged": privileged}],
}

test_stranger_is_denied if {
	found := untrusted_argument.deny with input as document({}, true)
	some violation in found
	violation.message == "curl takes options or a script from $TITLE, which a stranger can write"
	violation.at == ["effects", 0]
	count(found) == 1
}

test_own_text_is_fine if {
	count(untrusted_argument.deny) == 0 with input as document({"untrusted": false}, true)
}

test_other_effect_is_fine if {
	count(untrusted_argument.deny) == 0 with input as document({"kind": "build"}, true)
}

test_nothing_is_fine if {
	count(untrusted_argument.deny) == 0 with input as {"effects": [], "stages": []}
}
