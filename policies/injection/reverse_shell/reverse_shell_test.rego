package policyd.injection.reverse_shell_test

import data.policyd.injection.reverse_shell

effect(fields) := object.union(
	{
		"at": ["effects", 0], "stage": "build", "kind": "", "program": "", "text": "", "detail": "",
		"untrusted": false, "computed": false, "secret": false, "guards": [], "confidence": "high",
	},
	fields,
)

document(one) := {"effects": [one]}

test_shell_on_the_network_is_denied if {
	found := reverse_shell.deny with input as document(effect({"kind": "reverse-shell", "program": "nc", "detail": "nc"}))
	found == {{"message": "nc connects a shell to the network", "at": ["effects", 0], "confidence": "high"}}
}

test_other_effect_is_fine if {
	count(reverse_shell.deny) == 0 with input as document(effect({"kind": "build", "program": "make", "detail": "make"}))
}

test_nothing_is_fine if {
	count(reverse_shell.deny) == 0 with input as object.union(document(effect({})), {"effects": []})
}
