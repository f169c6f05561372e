package policyd.isolation.host_socket_test

import data.policyd.isolation.host_socket

document(kind) := {"effects": [{
	"at": ["effects", 0], "stage": "build", "kind": kind, "program": "docker", "text": "", "detail": "/x:/x",
	"untrusted": false, "computed": false, "secret": false, "guards": [], "confidence": "high",
}]}

test_mount_is_denied if {
	found := host_socket.deny with input as document("host-socket")
	found == {{"message": "a container gets the engine's socket: /x:/x", "at": ["effects", 0], "confidence": "high"}}
}

test_other_mount_is_another_rule if {
	count(host_socket.deny) == 0 with input as document("host-mount")
}

test_other_effect_is_fine if {
	count(host_socket.deny) == 0 with input as document("build")
}

test_nothing_is_fine if {
	count(host_socket.deny) == 0 with input as {"effects": []}
}
