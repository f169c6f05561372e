package policyd.isolation.privileged_container_test

import data.policyd.isolation.privileged_container

container(privileged, options) := {
	"commands": [],
	"containers": [{
		"image": "builder", "options": options, "privileged": privileged, "volumes": [], "at": ["containers", 0],
		"stage": "build",
	}],
}

command(text, argv) := {
	"containers": [],
	"commands": [{
		"text": text, "program": argv[0], "argv": argv, "pipes_to": "", "shell": "bash", "untrusted": false,
		"at": ["commands", 0], "stage": "build",
	}],
}

denied(document) if {
	count(privileged_container.deny) == 1 with input as document
}

fine(document) if {
	count(privileged_container.deny) == 0 with input as document
}

test_privileged_container_is_denied if denied(container(true, ""))

test_privileged_option_is_denied if denied(container(false, "--cpus 1 --privileged"))

test_all_capabilities_are_denied if denied(container(false, "--cap-add=ALL"))

test_processes_of_the_host_are_denied if denied(container(false, "--pid host"))

test_docker_run_is_denied if {
	denied(command("docker run --privileged tonistiigi/binfmt", ["docker", "run", "--privileged", "tonistiigi/binfmt"]))
}

test_one_capability_is_fine if fine(container(false, "--cap-add NET_BIND_SERVICE --privileged=false"))

test_plain_container_is_fine if fine(container(false, ""))

test_plain_docker_run_is_fine if fine(command("docker run --rm alpine true", ["docker", "run", "--rm", "alpine", "true"]))

test_docker_alone_is_fine if fine(command("docker", ["docker"]))

test_nothing_is_fine if fine({"commands": [], "containers": []})
