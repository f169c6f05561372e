package policyd.isolation.host_socket_test

import data.policyd.isolation.host_socket

effect(fields) := object.union(
	{
		"at": ["effects", 0], "stage": "build", "kind": "", "program": "", "text": "", "detail": "",
		"untrusted": false, "computed": false, "secret": false, "guards": [], "confidence": "high",
	},
	fields,
)

document(one) := {"effects": [one]}

test_socket_is_denied if {
	found := host_socket.deny with input as document(effect({"kind": "host-socket", "detail": "/var/run/docker.sock:/s"}))
	found == {{"message": "a container gets /var/run/docker.sock:/s of the host", "at": ["effects", 0]}}
}

test_folder_of_the_host_is_denied if {
	found := host_socket.deny with input as document(effect({"kind": "host-mount", "program": "docker", "detail": "/:/host"}))
	found == {{"message": "a container gets /:/host of the host", "at": ["effects", 0]}}
}

test_other_effect_is_fine if {
	count(host_socket.deny) == 0 with input as document(effect({"kind": "build", "program": "make", "detail": "make"}))
}

test_nothing_is_fine if {
	count(host_socket.deny) == 0 with input as object.union(document(effect({})), {"effects": []})
}
