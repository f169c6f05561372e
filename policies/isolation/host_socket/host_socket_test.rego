package policyd.isolation.host_socket_test

import data.policyd.isolation.host_socket

container(options, volumes) := {
	"commands": [],
	"containers": [{
		"image": "builder", "options": options, "privileged": false, "volumes": volumes, "at": ["containers", 0],
		"stage": "build",
	}],
}

command(text) := {
	"containers": [],
	"commands": [{
		"text": text, "program": "docker", "argv": split(text, " "), "pipes_to": "", "shell": "bash",
		"untrusted": false, "at": ["commands", 0], "stage": "build",
	}],
}

denied(document) if {
	count(host_socket.deny) == 1 with input as document
}

fine(document) if {
	count(host_socket.deny) == 0 with input as document
}

test_socket_of_docker_is_denied if {
	found := host_socket.deny with input as container("", ["/var/run/docker.sock:/var/run/docker.sock"])
	found == {{
		"message": "the container builder gets /var/run/docker.sock:/var/run/docker.sock of the host",
		"at": ["containers", 0],
	}}
}

test_read_only_socket_is_denied if denied(container("-v /run/docker.sock:/s:ro", []))

test_root_of_the_host_is_denied if denied(container("", ["/:/host"]))

test_docker_run_is_denied if denied(command("docker run -v /var/run/docker.sock:/var/run/docker.sock x"))

test_mount_option_is_denied if denied(command("docker run --mount type=bind,source=/etc,target=/e x"))

test_folder_of_the_workspace_is_fine if fine(container("", ["/home/runner/work:/w", "cache:/cache"]))

test_working_folder_is_fine if fine(command("docker run -v $PWD:/w x"))

test_nothing_is_fine if fine({"commands": [], "containers": []})
