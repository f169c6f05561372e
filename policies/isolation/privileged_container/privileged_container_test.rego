package policyd.isolation.privileged_container_test

import data.policyd.isolation.privileged_container

effect(fields) := object.union(
	{
		"at": ["effects", 0], "stage": "build", "kind": "", "program": "", "text": "", "detail": "",
		"untrusted": false, "computed": false, "secret": false, "guards": [], "confidence": "high",
	},
	fields,
)

document(one) := {"effects": [one]}

test_powerful_container_is_denied if {
	found := privileged_container.deny with input as document(effect({"kind": "privileged-container", "detail": "--privileged"}))
	found == {{"message": "a container runs with powers of the host: --privileged", "at": ["effects", 0], "confidence": "high"}}
}

test_other_effect_is_fine if {
	count(privileged_container.deny) == 0 with input as document(effect({"kind": "build", "program": "make", "detail": "make"}))
}

test_nothing_is_fine if {
	count(privileged_container.deny) == 0 with input as object.union(document(effect({})), {"effects": []})
}
