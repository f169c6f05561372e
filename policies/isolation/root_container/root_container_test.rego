package policyd.isolation.root_container_test

import data.policyd.isolation.root_container

document(kind) := {"effects": [{
	"at": ["effects", 0], "stage": "build", "kind": kind, "detail": "0", "text": "runAsUser: 0", "confidence": "high",
}]}

test_user_0_is_denied if {
	found := root_container.deny with input as document("root-container")
	found == {{"message": "runAsUser: 0 tells a container to run as root", "at": ["effects", 0]}}
}

test_other_powers_are_not_looked_at if {
	count(root_container.deny) == 0 with input as document("privileged-container")
}

test_nothing_is_fine if {
	count(root_container.deny) == 0 with input as {"effects": []}
}
